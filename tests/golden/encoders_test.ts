/** The encoder goldens: hidden states and embeddings of the reference implementation, on every backend. @module */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InvalidArgumentError, InvalidConfigError } from "../../src/errors.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { load, loadOn } from "../../src/load.ts";
import { describeModel } from "../../src/models/describe.ts";
import { locateWeights } from "../../src/weights.ts";
import { testOnBackends } from "../support/backends.ts";

const MODELS = new URL("../fixtures/models/", import.meta.url);
const CASES = ["bert", "roberta"];
const TOLERANCE = 1e-4;

interface Golden {
  prompts: {
    input_ids: number[];
    token_type_ids: number[];
    last_hidden_state: { data: number[] };
    cls: number[];
    mean_pooled_normalized: number[];
    pooler_output: number[];
  }[];
  padded_batch: {
    input_ids: number[][];
    attention_mask: number[][];
    mean_pooled_normalized: number[][];
    cls: number[][];
  };
}

async function goldenOf(name: string): Promise<Golden> {
  return JSON.parse(await Deno.readTextFile(new URL(`${name}/golden.json`, MODELS)));
}

function assertClose(actual: Float32Array, expected: readonly number[], what: string): void {
  assertEquals(actual.length, expected.length, what);
  const difference = expected.reduce((max, value, i) => Math.max(max, Math.abs(value - actual[i])), 0);
  assert(difference <= TOLERANCE, `${what} differ by ${difference}`);
}

for (const name of CASES) {
  const folder = new URL(`${name}/`, MODELS);
  await testOnBackends(`golden ${name}`, async (backend) => {
    const { prompts, padded_batch: batch } = await goldenOf(name);
    await using model = await loadOn(() => Promise.resolve({ backend, report: [] }), folder, { kv: "f32" });
    for (const prompt of prompts) {
      const input = { ids: prompt.input_ids, tokenTypes: prompt.token_type_ids };
      const [hidden] = await model.embed([input], { pooling: "none", normalize: false });
      assertClose(hidden, prompt.last_hidden_state.data, "hidden states");
      const [cls] = await model.embed([input], { pooling: "cls", normalize: false });
      assertClose(cls, prompt.cls, "first tokens");
      const [pooled] = await model.embed([input], { pooling: "pooler", normalize: false });
      assertClose(pooled, prompt.pooler_output, "pooler outputs");
      const [mean] = await model.embed([input], { pooling: "mean" });
      assertClose(mean, prompt.mean_pooled_normalized, "means");
    }
    // Padding is left out here: every sequence has as many rows as tokens.
    const inputs = batch.input_ids.map((ids, line) =>
      ids.filter((_, i) => batch.attention_mask[line][i] === 1)
    );
    const means = await model.embed(inputs);
    means.forEach((mean, i) => assertClose(mean, batch.mean_pooled_normalized[i], `means of line ${i}`));
    const firsts = await model.embed(inputs, { pooling: "cls", normalize: false });
    firsts.forEach((first, i) => assertClose(first, batch.cls[i], `first tokens of line ${i}`));
  });
}

interface RerankGolden {
  pairs: { query: string; document: string; input_ids: number[]; token_type_ids: number[]; score: number }[];
}

for (const name of ["bert-rerank", "roberta-rerank"]) {
  const folder = new URL(`${name}/`, MODELS);
  await testOnBackends(`golden ${name}`, async (backend) => {
    const { pairs }: RerankGolden = JSON.parse(await Deno.readTextFile(new URL("golden.json", folder)));
    await using model = await loadOn(() => Promise.resolve({ backend, report: [] }), folder, { kv: "f32" });
    const [{ query }] = pairs;
    const ranked = await model.rerank(query, pairs.map(({ document }) => document));
    assertEquals(
      ranked.map(({ score }) => score),
      ranked.map(({ score }) => score).toSorted((a, b) => b - a),
    );
    assertEquals(ranked.length, pairs.length);
    for (const { index, score } of ranked) {
      const difference = Math.abs(score - pairs[index].score);
      assert(
        difference <= TOLERANCE,
        `the score of ${JSON.stringify(pairs[index].document)} differs by ${difference}`,
      );
    }
    for (const { document, input_ids: ids, token_type_ids: types } of pairs) {
      assertEquals(model.tokenizer.encodePair?.(query, document).ids, ids);
      if (name === "bert-rerank") {
        assertEquals(model.tokenizer.encodePair?.(query, document).tokenTypes, types);
      }
    }
    // A text is read with the special tokens that the model wants around it.
    const [text] = await model.embed(["the red house"]);
    assertEquals(await model.embed([model.tokenizer.encode("the red house")]), [text]);
  });
}

Deno.test("a text's embedding has the same bits whatever else is in the batch", async () => {
  await using model = await load(new URL("bert/", MODELS), { backend: "wasm" });
  const texts = Array.from(
    { length: 70 },
    (_, i) => Array.from({ length: 1 + i % 40 }, (_, j) => (i * 7 + j) % 320),
  );
  const together = await model.embed(texts);
  for (const i of [0, 1, 33, 69]) assertEquals(await model.embed([texts[i]]), [together[i]]);
});

Deno.test("a sentence embedder's folder says how it pools", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(new URL(`bert/${name}`, MODELS), `${folder}/${name}`);
    }
    await Deno.mkdir(`${folder}/1_Pooling`);
    const write = (fields: Record<string, unknown>) =>
      Deno.writeTextFile(`${folder}/1_Pooling/config.json`, JSON.stringify(fields));
    await write({
      word_embedding_dimension: 64,
      pooling_mode_cls_token: true,
      pooling_mode_mean_tokens: false,
      include_prompt: true,
    });
    await using model = await load(folder, { backend: "wasm" });
    const [first] = await model.embed([[5, 6, 7]], { pooling: "cls" });
    assertEquals(await model.embed([[5, 6, 7]]), [first]);
    await write({ pooling_mode: "lasttoken" });
    await using newer = await load(folder, { backend: "wasm" });
    assertEquals(newer.config.pooling, "last");
    await write({ pooling_mode_cls_token: true, pooling_mode_max_tokens: true });
    await assertRejects(() => load(folder), InvalidConfigError, "pooling_mode_max_tokens");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a signal ends embedding between two steps", async () => {
  await using model = await load(new URL("bert/", MODELS), { backend: "wasm" });
  const texts = Array.from({ length: 2000 }, () => Array.from({ length: 60 }, (_, i) => i));
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("enough")), 5);
  await assertRejects(() => model.embed(texts, { signal: controller.signal }), Error, "enough");
});

Deno.test("an encoder writes no text and says what it can do instead", async () => {
  await using model = await load(new URL("bert/", MODELS), { backend: "wasm" });
  assertThrows(() => model.generate([1, 2]), InvalidArgumentError, "embed");
  await assertRejects(() => model.logits([1, 2]), InvalidArgumentError, "embed");
  await assertRejects(() => model.rerank("a", ["b"]), InvalidArgumentError, "classification head");
});

Deno.test("a decoder's embeddings are its final hidden states", async () => {
  const golden = JSON.parse(await Deno.readTextFile(new URL("llama-gqa/golden.json", MODELS)));
  for (const backend of ["reference", "wasm"] as const) {
    await using model = await load(new URL("llama-gqa/", MODELS), { backend, kv: "f32" });
    const options = { pooling: "none", normalize: false } as const;
    for (const { input_ids: ids, hidden } of golden.prompts) {
      const [states] = await model.embed([ids], options);
      const { abs_sum: sum, last8 } = hidden.at(-1);
      const lastRow = states.subarray(states.length - model.config.hiddenSize);
      assertClose(lastRow.subarray(0, 8), last8, "last hidden states");
      const found = states.reduce((total, x) => total + Math.abs(x), 0);
      assert(Math.abs(found - sum) <= TOLERANCE * states.length, `hidden states: ${found} and not ${sum}`);
      const [last] = await model.embed([ids], { pooling: "last", normalize: false });
      assertEquals(last, lastRow.slice());
    }
  }
});

Deno.test("both styles of an encoder's config.json give the same configuration", async () => {
  for (const name of CASES) {
    const file = await openModelFile(new URL(`${name}/`, MODELS));
    const { architecture, config } = await describeModel(file);
    const old = JSON.parse(await Deno.readTextFile(new URL(`${name}/config.v4.json`, MODELS)));
    assertEquals((await describeModel({ ...file, config: old })).config, config, name);
    // Full models put a prefix in front, and old ones have other names for the parts of a norm.
    const renamed = [...file.tensors].map(([key, tensor]) =>
      [
        `${name}.${
          key.replace(/LayerNorm.weight$/, "LayerNorm.gamma").replace(/LayerNorm.bias$/, "LayerNorm.beta")
        }`,
        tensor,
      ] as const
    );
    const located = locateWeights({ ...file, tensors: new Map(renamed) }, architecture.weights(config));
    assertEquals(located.length, locateWeights(file, architecture.weights(config)).length);
    file.close();
  }
});
