/** The encoder–decoder goldens: logits and greedy continuations of the reference implementation, on every backend. @module */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  InvalidArgumentError,
  InvalidConfigError,
  OutOfBoundsError,
  UnsupportedOpError,
} from "../../src/errors.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { load, loadOn } from "../../src/load.ts";
import { describeModel } from "../../src/models/describe.ts";
import { testOnBackends } from "../support/backends.ts";
import { withFolder } from "../support/goldens.ts";

const MODELS = new URL("../fixtures/models/", import.meta.url);
const CASES = ["t5", "t5-v1_1", "t5-bf16", "t5-f16", "bart"];
const TOLERANCE = 1e-4;

interface Golden {
  prompts: {
    input_ids: number[];
    decoder_input_ids: number[];
    logits_last: number[];
    encoder_last_hidden: { sum: number; abs_sum: number; last8: number[] };
    greedy: { new_tokens: number[] };
  }[];
}

async function goldenOf(name: string): Promise<Golden> {
  return JSON.parse(await Deno.readTextFile(new URL(`${name}/golden.json`, MODELS)));
}

/** WebGPU has no relative bias. */
const runs = (name: string, backend: string): boolean => backend !== "webgpu" || name === "bart";

for (const name of CASES) {
  const folder = new URL(`${name}/`, MODELS);
  await testOnBackends(
    `golden ${name}`,
    async (backend) => {
      const golden = await goldenOf(name);
      await using model = await loadOn(() => Promise.resolve({ backend, report: [] }), folder, { kv: "f32" });
      for (const prompt of golden.prompts) {
        const logits = await model.logits(prompt.input_ids, prompt.decoder_input_ids);
        assertEquals(logits.length, prompt.logits_last.length);
        prompt.logits_last.forEach((value, i) => {
          assert(Math.abs(value - logits[i]) <= TOLERANCE, `logit ${i} is ${logits[i]}, not ${value}`);
        });
        const generation = model.generate(prompt.input_ids, {
          maxTokens: 16,
          temperature: 0,
          ignoreEos: true,
        });
        assertEquals((await generation.stats()).ids, prompt.greedy.new_tokens);
        const [hidden] = await model.embed([prompt.input_ids], { pooling: "none", normalize: false });
        const { abs_sum: sum, last8 } = prompt.encoder_last_hidden;
        const found = hidden.reduce((total, x) => total + Math.abs(x), 0);
        assert(Math.abs(found - sum) <= TOLERANCE * hidden.length, `encoder: ${found} and not ${sum}`);
        const lastRow = hidden.subarray(hidden.length - model.config.hiddenSize);
        last8.forEach((value, i) => assert(Math.abs(value - lastRow[i]) <= TOLERANCE));
      }
    },
    (backend) => runs(name, backend),
  );
}

await testOnBackends(
  "a relative bias is refused before anything runs",
  async (backend) => {
    const choose = () => Promise.resolve({ backend, report: [] });
    await assertRejects(() => loadOn(choose, new URL("t5/", MODELS)), UnsupportedOpError, "relative bias");
  },
  (backend) => backend === "webgpu",
);

Deno.test("two texts are written about at once, each from its own encoder input", async () => {
  await using model = await load(new URL("bart/", MODELS), { backend: "wasm", kv: "f32" });
  const { prompts: [first] } = await goldenOf("bart");
  const inputs = [first.input_ids, first.input_ids.slice(0, 5)];
  const options = { maxTokens: 6, temperature: 0, ignoreEos: true };
  const alone: (readonly number[])[] = [];
  for (const input of inputs) alone.push((await model.generate(input, options).stats()).ids);
  const together = await Promise.all(inputs.map((input) => model.generate(input, options).stats()));
  assertEquals(together.map(({ ids }) => ids), alone);
});

Deno.test("the pages of an encoder's input are free again after each text", async () => {
  await using model = await load(new URL("t5/", MODELS), { backend: "wasm", contextLength: 32 });
  const long = Array.from({ length: 32 }, (_, i) => i);
  for (let round = 0; round < 3; round++) await model.logits(long);
});

Deno.test("texts wait for room for what their encoder reads, and closing the model ends the waiting", async () => {
  const options = { backend: "wasm", contextLength: 32, maxSequences: 1 } as const;
  await using model = await load(new URL("t5/", MODELS), options);
  const prompts = [1, 2, 3].map((first) => Array.from({ length: 32 }, (_, i) => first + i));
  const short = { maxTokens: 4, temperature: 0, ignoreEos: true };
  const alone: (readonly number[])[] = [];
  for (const prompt of prompts) alone.push((await model.generate(prompt, short).stats()).ids);
  const together = await Promise.all(prompts.map((prompt) => model.generate(prompt, short).stats()));
  assertEquals(together.map(({ ids }) => ids), alone);
  const reader = model.generate(prompts[0], short)[Symbol.asyncIterator]();
  await reader.next();
  const aborted = model.generate(prompts[1], { ...short, signal: AbortSignal.timeout(5) });
  assertEquals((await aborted.stats()).finishReason, "abort");
  const waiting = model.generate(prompts[1], short).text();
  await model.close();
  await assertRejects(() => waiting, InvalidArgumentError, "closed");
});

Deno.test("wrong ids for encoder or decoder end in a typed error", async () => {
  await using model = await load(new URL("t5/", MODELS), { backend: "wasm" });
  await assertRejects(() => model.logits([]), InvalidArgumentError);
  await assertRejects(() => model.logits([1], [1], AbortSignal.abort(new RangeError("enough"))), RangeError);
  await assertRejects(() => model.logits([256]), OutOfBoundsError, "vocabulary");
  await assertRejects(() => model.logits([1], [256]), OutOfBoundsError, "vocabulary");
  await assertRejects(() => model.score([1, 2, 3]), InvalidArgumentError, "encoder");
  await using decoder = await load(new URL("llama/", MODELS), { backend: "wasm" });
  await assertRejects(() => decoder.logits([1], [1]), InvalidArgumentError, "decoder");
});

Deno.test("both styles of an encoder–decoder's config.json give the same configuration", async () => {
  for (const name of CASES) {
    const file = await openModelFile(new URL(`${name}/`, MODELS));
    const { config } = await describeModel(file);
    const old = JSON.parse(await Deno.readTextFile(new URL(`${name}/config.v4.json`, MODELS)));
    assertEquals((await describeModel({ ...file, config: old })).config, config, name);
    file.close();
  }
});

Deno.test("tokens that BART's files force stand at both ends, as transformers 5.24 has it", () =>
  withFolder(async (folder) => {
    const { prompts: [{ input_ids: ids }] } = await goldenOf("bart");
    const config = JSON.parse(await Deno.readTextFile(new URL("bart/config.json", MODELS)));
    const write = (first: number) => {
      const fields = { ...config, eos_token_id: 9, forced_bos_token_id: first, forced_eos_token_id: 9 };
      return Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(fields));
    };
    await Deno.copyFile(new URL("bart/model.safetensors", MODELS), `${folder}/model.safetensors`);
    await write(7);
    await using model = await load(folder, { backend: "wasm", kv: "f32" });
    const generation = model.generate(ids, { maxTokens: 8, temperature: 0, logprobs: true });
    assertEquals((await generation.stats()).ids, [7, 254, 236, 74, 254, 254, 254]);
    const { beams } = await model.beamSearch(ids, { beams: 2, maxTokens: 8 });
    assertEquals(beams.map((beam) => beam.ids), [
      [7, 254, 254, 254, 254, 254, 254, 9],
      [7, 254, 236, 74, 254, 254, 254, 9],
    ]);
    [-2.6418045, -2.6452088].forEach((score, i) => assert(Math.abs(beams[i].score - score) <= 1e-4));
    await write(256);
    await assertRejects(() => load(folder), InvalidConfigError, "outside the vocabulary");
  }));
