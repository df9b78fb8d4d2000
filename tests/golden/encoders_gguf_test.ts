/**
 * Encoders and encoder–decoders as GGUF files with llama.cpp's names (gguf-py, `constants.py`), made here from the
 * goldens: what they compute must be what the Hugging Face files do.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { convert } from "../../src/convert/convert.ts";
import type { TensorInfo } from "../../src/formats/model_file.ts";
import { openModelFile } from "../../src/formats/open.ts";
import type { SourceLike } from "../../src/formats/source.ts";
import { load } from "../../src/load.ts";
import { dequantize } from "../../src/tensor/quantize.ts";
import { elementCount } from "../../src/tensor/shape.ts";
import { TOKEN_TYPE } from "../../src/tokenizer/gguf_fields.ts";
import { buildGguf, type GgufTensor, type GgufValue } from "../support/build_gguf.ts";
import { MODELS, withFolder } from "../support/goldens.ts";

/** How a name in a Hugging Face file is rewritten, in order. */
type Renaming = readonly (readonly [pattern: RegExp, name: string])[];

const BERT: Renaming = [
  [/^bert\./, ""],
  [/^embeddings\.word_embeddings/, "token_embd"],
  [/^embeddings\.position_embeddings/, "position_embd"],
  [/^embeddings\.token_type_embeddings/, "token_types"],
  [/^embeddings\.LayerNorm/, "token_embd_norm"],
  [/^pooler\.dense/, "cls"],
  [/^classifier/, "cls.output"],
  [/^encoder\.layer\.(\d+)\./, "blk.$1."],
  [/attention\.self\.(.)[a-z]+/, "attn_$1"],
  [/attention\.output\.dense/, "attn_output"],
  [/attention\.output\.LayerNorm/, "attn_output_norm"],
  [/intermediate\.dense/, "ffn_up"],
  [/output\.dense/, "ffn_down"],
  [/output\.LayerNorm/, "layer_output_norm"],
];

const T5: Renaming = [
  [/^shared/, "token_embd"],
  [/^lm_head/, "output"],
  [/^(enc|dec)oder\.final_layer_norm/, "$1.output_norm"],
  [/^(enc|dec)oder\.block\.(\d+)\./, "$1.blk.$2."],
  [/layer\.\d\.SelfAttention\.relative_attention_bias/, "attn_rel_b"],
  [/layer\.\d\.SelfAttention\.(.)/, "attn_$1"],
  [/layer\.\d\.EncDecAttention\.(.)/, "cross_attn_$1"],
  [/layer\.\d\.DenseReluDense\.wi_0/, "ffn_gate"],
  [/layer\.\d\.DenseReluDense\.wi(_1)?/, "ffn_up"],
  [/layer\.\d\.DenseReluDense\.wo/, "ffn_down"],
  [/layer\.0\.layer_norm/, "attn_norm"],
  [/^(dec.*)layer\.1\.layer_norm/, "$1cross_attn_norm"],
  [/layer\.\d\.layer_norm/, "ffn_norm"],
];

/** BERT's names, of a RoBERTa that ranks. */
const ROBERTA: Renaming = [
  [/^roberta\./, ""],
  [/^classifier\.dense/, "cls"],
  [/^classifier\.out_proj/, "cls.output"],
  ...BERT,
];

for (
  const [name, renaming] of [
    ...[["bert", BERT], ["bert-rerank", BERT], ["roberta", BERT], ["roberta-rerank", ROBERTA]] as const,
    ...[["t5", T5], ["t5-v1_1", T5]] as const,
  ]
) {
  Deno.test(`${name} is converted to the tensors that llama.cpp's names say`, () =>
    withFolder(async (folder) => {
      const source = new URL(`${name}/`, MODELS);
      await convert(source, `${folder}/a.gguf`);
      const firstPosition = name.startsWith("roberta") ? 2 : 0;
      const expected = await toGguf(source, renaming, { "general.architecture": "any" }, { firstPosition });
      const [found, table] = await Promise.all([contentOf(`${folder}/a.gguf`), contentOf(expected)]);
      assertEquals(found, table);
    }));
}

/** Shapes and elements of a file's tensors by name. */
async function contentOf(source: SourceLike): Promise<Record<string, unknown>> {
  const file = await openModelFile(source);
  try {
    const all = await Promise.all(
      [...file.tensors.values()].map(async (tensor) =>
        [tensor.name, [tensor.shape, await elements(tensor)]] as const
      ),
    );
    return Object.fromEntries(all.sort(([a], [b]) => a < b ? -1 : 1));
  } finally {
    file.close();
  }
}

const f32 = (value: number): GgufValue => ({ type: "f32", value });

async function toGguf(
  folder: string | URL,
  renaming: Renaming,
  metadata: Record<string, GgufValue>,
  { firstPosition = 0, without }: { firstPosition?: number; without?: RegExp } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await openModelFile(folder);
  const tensors: GgufTensor[] = [];
  for (const [key, tensor] of file.tensors) {
    const name = renaming.reduce((text, [pattern, to]) => text.replace(pattern, to), key);
    if (without?.test(name)) continue;
    const data = await elements(tensor);
    const rows = name === "position_embd.weight" ? firstPosition : 0;
    const shape = [tensor.shape[0] - rows, ...tensor.shape.slice(1)];
    tensors.push({ name, dtype: "f32", shape, data: data.subarray(rows * (shape[1] ?? 1)) });
  }
  file.close();
  return buildGguf({ metadata, tensors });
}

async function elements({ dtype, source, offset, byteLength, shape }: TensorInfo): Promise<Float32Array> {
  return dequantize(dtype, await source.read(offset, byteLength), new Float32Array(elementCount(shape)));
}

const bertMetadata = (types: number): Record<string, GgufValue> => ({
  "general.architecture": "bert",
  "bert.context_length": 64,
  "bert.embedding_length": 64,
  "bert.feed_forward_length": 64,
  "bert.block_count": 2,
  "bert.attention.head_count": 4,
  "bert.attention.layer_norm_epsilon": f32(types === 2 ? 1e-12 : 1e-5),
  "bert.attention.causal": false,
  "bert.pooling_type": 2,
});

for (const [name, types] of [["bert", 2], ["roberta", 1]] as const) {
  Deno.test(`golden ${name} as GGUF bert`, async () => {
    const folder = new URL(`${name}/`, MODELS);
    const bytes = await toGguf(folder, BERT, bertMetadata(types), {
      firstPosition: name === "roberta" ? 2 : 0,
    });
    const { prompts: [prompt] } = JSON.parse(await Deno.readTextFile(new URL("golden.json", folder)));
    await using model = await load(bytes, { backend: "wasm", kv: "f32" });
    assertEquals([model.config.kind, model.config.tokenTypes, model.config.pooling], [
      "encoder",
      types,
      "cls",
    ]);
    const input = { ids: prompt.input_ids, tokenTypes: prompt.token_type_ids };
    // The pooling is the file's own.
    const [first] = await model.embed([input], { normalize: false });
    const [pooled] = await model.embed([input], { pooling: "pooler", normalize: false });
    for (const [found, expected] of [[first, prompt.cls], [pooled, prompt.pooler_output]] as const) {
      expected.forEach((x: number, i: number) => assert(Math.abs(x - found[i]) <= 1e-4, `element ${i}`));
    }
  });
}

Deno.test("a classifier in GGUF that has no pooler reads the first token, as llama.cpp has it", async () => {
  const folder = new URL("bert-rerank/", MODELS);
  const { model: { vocab } } = JSON.parse(await Deno.readTextFile(new URL("tokenizer.json", folder)));
  const tokens = Object.keys(vocab).map((token) => token.startsWith("[") ? token : `▁${token}`);
  const types = tokens.map((token) => token.startsWith("[") ? TOKEN_TYPE.control : TOKEN_TYPE.normal);
  const metadata: Record<string, GgufValue> = {
    ...bertMetadata(2),
    "bert.context_length": 32,
    "bert.embedding_length": 32,
    "bert.feed_forward_length": 48,
    "tokenizer.ggml.model": "bert",
    "tokenizer.ggml.tokens": { type: "array", value: { of: "string", values: tokens } },
    "tokenizer.ggml.token_type": { type: "array", value: { of: "i32", values: types } },
    "tokenizer.ggml.cls_token_id": vocab["[CLS]"],
    "tokenizer.ggml.seperator_token_id": vocab["[SEP]"],
    "tokenizer.ggml.unknown_token_id": vocab["[UNK]"],
  };
  const file = await openModelFile(folder);
  const [weight, bias] = await Promise.all(["weight", "bias"].map((part) => {
    const tensor = file.tensors.get(`classifier.${part}`);
    assert(tensor);
    return elements(tensor);
  }));
  file.close();
  const bytes = await toGguf(folder, BERT, metadata, { without: /^cls\.(weight|bias)$/ });
  await using model = await load(bytes, { backend: "wasm", kv: "f32" });
  const [{ score }] = await model.rerank("a cat", ["the house"]);
  const pair = model.tokenizer.encodePair?.("a cat", "the house");
  assert(pair);
  const [first] = await model.embed([pair], { pooling: "cls", normalize: false });
  const expected = first.reduce((sum, x, i) => sum + x * weight[i], bias[0]);
  assert(Math.abs(score - expected) <= 1e-5, `${score} and not ${expected}`);
});

const t5Metadata = ({ width, headDim }: { width: number; headDim: number }): Record<string, GgufValue> => ({
  "general.architecture": "t5",
  "t5.context_length": 512,
  "t5.embedding_length": width,
  "t5.feed_forward_length": 64,
  "t5.block_count": 2,
  "t5.decoder_block_count": 2,
  "t5.attention.head_count": 4,
  "t5.attention.key_length": headDim,
  "t5.attention.value_length": headDim,
  "t5.attention.layer_norm_epsilon": f32(1e-6),
  "t5.attention.layer_norm_rms_epsilon": f32(1e-6),
  "t5.attention.relative_buckets_count": 16,
  "t5.decoder_start_token_id": 0,
});

for (
  const [name, sizes] of [["t5", { width: 48, headDim: 12 }], ["t5-v1_1", {
    width: 40,
    headDim: 10,
  }]] as const
) {
  Deno.test(`${name} as GGUF t5`, async () => {
    // GGUF has no field for the farthest distance: it is always 128 there.
    const folder = await Deno.makeTempDir();
    try {
      const from = new URL(`${name}/`, MODELS);
      const config = JSON.parse(await Deno.readTextFile(new URL("config.json", from)));
      config.relative_attention_max_distance = 128;
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
      await Deno.copyFile(new URL("model.safetensors", from), `${folder}/model.safetensors`);
      await using expected = await load(folder, { backend: "wasm", kv: "f32" });
      await using found = await load(await toGguf(folder, T5, t5Metadata(sizes)), {
        backend: "wasm",
        kv: "f32",
      });
      const { prompts } = JSON.parse(await Deno.readTextFile(new URL("golden.json", from)));
      for (const { input_ids: ids, decoder_input_ids: decoderIds } of prompts) {
        const [ours, theirs] = [await found.logits(ids, decoderIds), await expected.logits(ids, decoderIds)];
        theirs.forEach((x, i) => assert(Math.abs(x - ours[i]) <= 1e-5, `logit ${i} is ${ours[i]}, not ${x}`));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
