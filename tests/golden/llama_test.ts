/** The llama goldens: logits and greedy continuations of the reference implementation, on every backend. @module */
import { assert, assertEquals } from "@std/assert";
import { load } from "../../mod.ts";
import { loadOn } from "../../src/load.ts";
import { testOnBackends } from "../support/backends.ts";

const MODELS = new URL("../fixtures/models/", import.meta.url);
const CASES = ["llama", "llama-gqa", "llama3-rope", "llama-gqa-bf16", "llama-gqa-f16", "llama-gqa-sharded"];
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
  await testOnBackends(`golden ${name}`, async (backend) => {
    const golden: Golden = JSON.parse(await Deno.readTextFile(new URL("golden.json", folder)));
    await using model = await loadOn(() => Promise.resolve({ backend, report: [] }), folder, { kv: "f32" });
    for (const prompt of golden.prompts) {
      const difference = maxDifference(await model.logits(prompt.input_ids), prompt.logits_last);
      assert(difference <= TOLERANCE, `logits differ by ${difference}`);
      const generation = model.generate(prompt.input_ids, { maxTokens: 24, temperature: 0, ignoreEos: true });
      assertEquals((await generation.stats()).ids, prompt.greedy.new_tokens);
    }
  });
}

Deno.test("both styles of config.json give the same configuration", async () => {
  for (const name of CASES.slice(0, 3)) {
    const scratch = await Deno.makeTempDir();
    const folder = new URL(`${name}/`, MODELS);
    await Deno.copyFile(new URL("config.v4.json", folder), `${scratch}/config.json`);
    await Deno.copyFile(new URL("model.safetensors", folder), `${scratch}/model.safetensors`);
    await using newer = await load(folder, { backend: "reference" });
    await using older = await load(scratch, { backend: "reference" });
    assertEquals(older.config, newer.config);
    await Deno.remove(scratch, { recursive: true });
  }
});
