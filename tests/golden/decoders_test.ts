/** The decoder goldens: logits and greedy continuations of the reference implementation, on every backend. @module */
import { assert, assertEquals } from "@std/assert";
import type { BackendName } from "../../src/backends/backend.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { loadOn } from "../../src/load.ts";
import { describeModel } from "../../src/models/describe.ts";
import { testOnBackends } from "../support/backends.ts";

const MODELS = new URL("../fixtures/models/", import.meta.url);
/** Cases by the backends that they run on. */
const CASES = {
  everywhere: [
    "llama",
    "llama-gqa",
    "llama3-rope",
    "llama-gqa-bf16",
    "llama-gqa-f16",
    "llama-gqa-sharded",
  ],
  main: [
    "gpt2",
    "gpt2-bf16",
    "gpt2-f16",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "phi",
    "phi3",
    "gpt_neox",
    "bloom",
    "mpt",
    "falcon",
    "falcon-new",
    "stablelm",
    "olmo2",
    "mixtral",
    "qwen2_moe",
    "qwen3_moe",
  ],
};
const MAIN: readonly BackendName[] = ["reference", "wasm"];
/** The two GELUs differ by 1e-4 to 8e-4: a looser bound would not see a wrong one. */
const TOLERANCE = 1e-4;

interface Golden {
  prompts: { input_ids: number[]; logits_last: number[]; greedy: { new_tokens: number[] } }[];
}

function maxDifference(actual: Float32Array, expected: readonly number[]): number {
  assertEquals(actual.length, expected.length);
  return expected.reduce((max, value, i) => Math.max(max, Math.abs(value - actual[i])), 0);
}

for (const name of [...CASES.everywhere, ...CASES.main]) {
  const folder = new URL(`${name}/`, MODELS);
  await testOnBackends(
    `golden ${name}`,
    async (backend) => {
      const golden: Golden = JSON.parse(await Deno.readTextFile(new URL("golden.json", folder)));
      await using model = await loadOn(() => Promise.resolve({ backend, report: [] }), folder, { kv: "f32" });
      for (const prompt of golden.prompts) {
        const difference = maxDifference(await model.logits(prompt.input_ids), prompt.logits_last);
        assert(difference <= TOLERANCE, `logits differ by ${difference}`);
        const generation = model.generate(prompt.input_ids, {
          maxTokens: 24,
          temperature: 0,
          ignoreEos: true,
        });
        assertEquals((await generation.stats()).ids, prompt.greedy.new_tokens);
      }
    },
    (backend) => CASES.everywhere.includes(name) || MAIN.includes(backend),
  );
}

Deno.test("both styles of config.json give the same configuration", async () => {
  for (const name of [...CASES.everywhere, ...CASES.main]) {
    const folder = new URL(`${name}/`, MODELS);
    const file = await openModelFile(folder);
    const { config } = await describeModel(file);
    const old = JSON.parse(await Deno.readTextFile(new URL("config.v4.json", folder)));
    assertEquals((await describeModel({ ...file, config: old })).config, config, name);
    file.close();
  }
});
