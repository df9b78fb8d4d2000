/**
 * The goldens of encoders and encoder–decoders by way of GGUF and forge back to a folder: tensors must be the same to the bit,
 * and every file on the way must give the same numbers.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { convert, convertFile } from "../../src/convert/convert.ts";
import { UnsupportedModelError } from "../../src/errors.ts";
import { crc32 } from "../../src/formats/crc32.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { load } from "../../src/load.ts";
import type { Model } from "../../src/model.ts";
import { dequantize } from "../../src/tensor/quantize.ts";
import { elementCount } from "../../src/tensor/shape.ts";
import { ENCODER_TOKENIZERS } from "../support/encoder_tokenizers.ts";
import { MODELS, withFolder } from "../support/goldens.ts";

/** The goldens, and a tokenizer for those that have none. */
const CASES: Readonly<Record<string, string | undefined>> = {
  bert: "WordPiece with capitals",
  "bert-rerank": undefined,
  roberta: "byte-level BPE of RoBERTa",
  "roberta-rerank": undefined,
  t5: "Unigram of T5",
  "t5-v1_1": "Unigram of T5",
  "t5-bf16": "Unigram of T5",
  "t5-f16": "Unigram of T5",
};
const TEXTS = ["the red house", "how many cats do you know?", ""];

/** Names of the tensors of a file, and a checksum of each: of the numbers, which are in F32 where GGUF wants them so. */
async function tensorsOf(path: string | URL): Promise<Map<string, string>> {
  const file = await openModelFile(path);
  try {
    const all = await Promise.all([...file.tensors.values()].map(async (tensor) => {
      const { name, dtype, shape } = tensor;
      const bytes = await tensor.source.read(tensor.offset, tensor.byteLength);
      const numbers = dequantize(dtype, bytes, new Float32Array(elementCount(shape)));
      const matrix = shape.length === 2 && !/relative_attention_bias/.test(name);
      return [
        name,
        `${matrix ? dtype : "any"} [${shape}] ${crc32(new Uint8Array(numbers.buffer))}`,
      ] as const;
    }));
    return new Map(all.sort(([a], [b]) => a < b ? -1 : 1));
  } finally {
    file.close();
  }
}

/** Everything that a model says about some ids and texts. */
async function answers(path: string | URL): Promise<unknown> {
  await using model = await load(path, { backend: "wasm", kv: "f32" });
  const ids = [5, 6, 7, 8, 9, 5];
  const inputs = [{ ids, tokenTypes: ids.map((_, i) => model.config.tokenTypes === 2 && i > 3 ? 1 : 0) }];
  return {
    states: await model.embed(inputs, { pooling: "none", normalize: false }),
    pooled: await model.embed(inputs),
    logits: model.config.kind === "encoder-decoder" ? await model.logits(ids, [0, 3, 4]) : undefined,
    ranked: model.config.labels === undefined ? undefined : await model.rerank(TEXTS[1], TEXTS),
    pieces: piecesOf(model),
  };
}

function piecesOf({ tokenizer }: Model): unknown {
  return TEXTS.map((text) => [tokenizer.encode(text), tokenizer.encodePair?.("a cat", text)]);
}

/** The folder of a golden, with a tokenizer and a way to pool. */
async function completed(name: string, tokenizer: string | undefined, folder: string): Promise<string> {
  await Deno.mkdir(`${folder}/1_Pooling`, { recursive: true });
  for (const file of ["config.json", "model.safetensors", ...(tokenizer ? [] : ["tokenizer.json"])]) {
    await Deno.copyFile(new URL(`${name}/${file}`, MODELS), `${folder}/${file}`);
  }
  const write = (file: string, value: unknown) =>
    Deno.writeTextFile(`${folder}/${file}`, JSON.stringify(value));
  // Those with a tokenizer of their own are rerankers.
  if (tokenizer) {
    await write("tokenizer.json", await ENCODER_TOKENIZERS[tokenizer].json());
    await write("1_Pooling/config.json", { pooling_mode_cls_token: true });
  }
  return folder;
}

for (const [name, tokenizer] of Object.entries(CASES)) {
  Deno.test(`golden ${name} converted to GGUF, forge, safetensors`, () =>
    withFolder(async (folder) => {
      const [gguf, forge, back] = ["a.gguf", "b.forge", "c"].map((file) => `${folder}/${file}`);
      const source = await completed(name, tokenizer, `${folder}/source`);
      assertEquals((await convert(source, gguf)).dropped, []);
      await convert(gguf, forge);
      await convert(forge, back);
      const expected = await answers(source);
      for (const path of [gguf, forge, back]) assertEquals(await answers(path), expected, path);
      assertEquals(await tensorsOf(back), await tensorsOf(source));
    }));
}

Deno.test("the encoder of a T5 by itself gives what it gives in the whole model, in every format", () =>
  withFolder(async (folder) => {
    for (const name of ["t5", "t5-v1_1"]) {
      const [source, gguf, back] = ["source", "a.gguf", "b"].map((file) => `${folder}/${name}/${file}`);
      await Deno.mkdir(source, { recursive: true });
      const file = await openModelFile(new URL(`${name}/`, MODELS));
      const tensors = new Map([...file.tensors].filter(([key]) => !/^(decoder|lm_head)/.test(key)));
      // Such files have the embedding by its name in the encoder, or by that in the whole model.
      const encoder = { ...file, config: { ...file.config, architectures: ["T5EncoderModel"] }, tensors };
      await convertFile(encoder, source, { to: "safetensors" });
      file.close();
      await convert(source, gguf);
      await convert(gguf, back);
      await using whole = await load(new URL(`${name}/`, MODELS), { backend: "wasm", kv: "f32" });
      const ids = [[5, 6, 7, 8], [9, 3]];
      const expected = await whole.embed(ids);
      for (const path of [source, gguf, back]) {
        await using model = await load(path, { backend: "wasm", kv: "f32" });
        assertEquals([model.config.architecture, model.config.kind], ["t5encoder", "encoder"]);
        assertEquals(await model.embed(ids), expected, path);
      }
      assertEquals(await tensorsOf(back), await tensorsOf(source));
    }
  }));

Deno.test("BART, which GGUF has no architecture for, goes to forge and back", () =>
  withFolder(async (folder) => {
    const source = new URL("bart/", MODELS);
    const write = () => convert(source, `${folder}/a.gguf`);
    await assertRejects(write, UnsupportedModelError, "no architecture for models of bart; convert to forge");
    await convert(source, `${folder}/a.forge`);
    await convert(`${folder}/a.forge`, `${folder}/b`);
    assertEquals(await tensorsOf(`${folder}/b`), await tensorsOf(source));
  }));

Deno.test("names of labels, and how a model pools, go both ways", () =>
  withFolder(async (folder) => {
    const source = await completed("bert-rerank", undefined, `${folder}/source`);
    const file = await openModelFile(source);
    const config = { ...file.config, id2label: { 0: "relevance" } };
    await convertFile({ ...file, config }, `${folder}/a.gguf`);
    file.close();
    const gguf = await openModelFile(`${folder}/a.gguf`);
    assertEquals(gguf.metadata["bert.classifier.output_labels"], ["relevance"]);
    assertEquals(gguf.metadata["bert.pooling_type"], 4);
    gguf.close();
    await convert(`${folder}/a.gguf`, `${folder}/b`);
    const labelled = await openModelFile(`${folder}/b`);
    assertEquals(labelled.config?.id2label, { 0: "relevance" });
    labelled.close();
    const embedder = await completed("bert", "WordPiece with capitals", `${folder}/embedder`);
    await convert(embedder, `${folder}/c.gguf`);
    await convert(`${folder}/c.gguf`, `${folder}/d`);
    const pooled = await openModelFile(`${folder}/d`);
    assertEquals(pooled.poolingConfig, {
      word_embedding_dimension: 64,
      pooling_mode_mean_tokens: false,
      pooling_mode_cls_token: true,
      pooling_mode_lasttoken: false,
    });
    pooled.close();
  }));
