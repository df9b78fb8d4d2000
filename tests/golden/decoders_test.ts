/** The decoder goldens: logits and greedy continuations of the reference implementation, on every backend. @module */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { UnsupportedOpError } from "../../src/errors.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { loadOn } from "../../src/load.ts";
import { describeModel } from "../../src/models/describe.ts";
import { locateWeights } from "../../src/weights.ts";
import { testOnBackends } from "../support/backends.ts";
import { ON_WEBGPU } from "../support/goldens.ts";

const MODELS = new URL("../fixtures/models/", import.meta.url);
const CASES = [
  "llama",
  "llama-gqa",
  "llama3-rope",
  "llama-gqa-bf16",
  "llama-gqa-f16",
  "llama-gqa-sharded",
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
  "smollm3",
];
/** The two GELUs differ by 1e-4 to 8e-4: a looser bound would not see a wrong one. */
const TOLERANCE = 1e-4;

interface Golden {
  prompts: { input_ids: number[]; logits_last: number[]; greedy: { new_tokens: number[] } }[];
}

function maxDifference(actual: Float32Array, expected: readonly number[]): number {
  assertEquals(actual.length, expected.length);
  return expected.reduce((max, value, i) => Math.max(max, Math.abs(value - actual[i])), 0);
}

for (const name of CASES) {
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
    (backend) => backend !== "webgpu" || ON_WEBGPU.includes(name),
  );
}

await testOnBackends(
  "a model with experts is refused before anything runs",
  async (backend) => {
    const choose = () => Promise.resolve({ backend, report: [] });
    await assertRejects(() => loadOn(choose, new URL("mixtral/", MODELS)), UnsupportedOpError, "topK");
  },
  (backend) => backend === "webgpu",
);

Deno.test("both styles of config.json give the same configuration", async () => {
  for (const name of CASES) {
    const folder = new URL(`${name}/`, MODELS);
    const file = await openModelFile(folder);
    const { config } = await describeModel(file);
    const old = JSON.parse(await Deno.readTextFile(new URL("config.v4.json", folder)));
    assertEquals((await describeModel({ ...file, config: old })).config, config, name);
    file.close();
  }
});

Deno.test("a base model's names, without what full models put first, are found too", async () => {
  for (const name of CASES) {
    const file = await openModelFile(new URL(`${name}/`, MODELS));
    const { architecture, config } = await describeModel(file);
    const base = [...file.tensors].map(([key, tensor]) =>
      [key.replace(/^(model|transformer|gpt_neox)\./, ""), tensor] as const
    );
    const located = locateWeights({ ...file, tensors: new Map(base) }, architecture.weights(config));
    assertEquals(located.length, locateWeights(file, architecture.weights(config)).length, name);
    file.close();
  }
});
