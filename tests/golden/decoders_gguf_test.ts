/**
 * The decoder goldens as GGUF files in llama.cpp's conventions, made here: the configuration must come out as that of
 * `config.json`, and the logits too.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { ModelFile } from "../../src/formats/model_file.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { load } from "../../src/load.ts";
import type { DecoderConfig } from "../../src/models/config.ts";
import { describeModel } from "../../src/models/describe.ts";
import { dequantize } from "../../src/tensor/quantize.ts";
import { elementCount } from "../../src/tensor/shape.ts";
import { locateWeights } from "../../src/weights.ts";
import { buildGguf, type GgufTensor, type GgufValue } from "../support/build_gguf.ts";

const MODELS = new URL("../fixtures/models/", import.meta.url);

/** Cases by the architecture that their GGUF files name. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  gpt2: ["gpt2"],
  llama: ["llama", "llama-gqa", "mistral", "mixtral"],
  qwen2: ["qwen2"],
  qwen2moe: ["qwen2_moe"],
  qwen3: ["qwen3"],
  qwen3moe: ["qwen3_moe"],
  gemma: ["gemma"],
  gemma2: ["gemma2"],
  gemma3: ["gemma3"],
  phi2: ["phi"],
  phi3: ["phi3"],
  gptneox: ["gpt_neox"],
  bloom: ["bloom"],
  mpt: ["mpt"],
  falcon: ["falcon", "falcon-new"],
  stablelm: ["stablelm"],
  olmo2: ["olmo2"],
  smollm3: ["smollm3"],
};

const f32 = (value: number): GgufValue => ({ type: "f32", value });

function metadata(architecture: string, c: DecoderConfig): Record<string, GgufValue> {
  const { rope, experts, norm } = c;
  const rms = norm.kind === "rms" ? "_rms" : "";
  const fields: Record<string, GgufValue | undefined> = {
    context_length: c.contextLength,
    embedding_length: c.hiddenSize,
    block_count: c.layers,
    feed_forward_length: c.intermediateSize,
    vocab_size: c.vocabSize,
    "attention.head_count": c.heads,
    "attention.head_count_kv": c.kvHeads,
    "attention.key_length": c.headDim,
    "attention.value_length": c.headDim,
    [`attention.layer_norm${rms}_epsilon`]: f32(norm.eps),
    "attention.sliding_window": Math.max(...c.windows) || undefined,
    attn_logit_softcapping: c.attentionSoftcap ? f32(c.attentionSoftcap) : undefined,
    final_logit_softcapping: c.logitSoftcap ? f32(c.logitSoftcap) : undefined,
    "attention.max_alibi_bias": c.alibi ? f32(c.alibi.maxBias) : undefined,
    "rope.freq_base": rope && f32(rope.theta),
    "rope.dimension_count": rope?.rotaryDim,
    use_parallel_residual: c.parallelResidual,
    expert_count: experts?.count,
    expert_used_count: experts?.used,
    expert_feed_forward_length: experts?.intermediateSize,
    expert_shared_feed_forward_length: experts?.sharedSize || undefined,
    // Llama.cpp has these two in its code, by the size of the model.
    "attention.scale": f32(c.attentionScale),
    sliding_window_pattern: architecture === "gemma3" ? 3 : undefined,
  };
  const named = Object.entries(fields).filter((field): field is [string, GgufValue] =>
    field[1] !== undefined
  );
  return {
    "general.architecture": architecture,
    ...Object.fromEntries(named.map(([key, value]) => [`${architecture}.${key}`, value])),
    "tokenizer.ggml.bos_token_id": c.bosId ?? 0,
    ...(c.eosIds.length > 0 ? { "tokenizer.ggml.eos_token_id": c.eosIds[0] } : {}),
  };
}

/** Query and key rows of llama files, so that rotary pairs are neighbours. */
function interleave(rows: Float32Array, heads: number, columns: number): Float32Array {
  const headDim = rows.length / columns / heads;
  return Float32Array.from(rows, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const [head, i] = [Math.floor(row / headDim), row % headDim];
    return rows[(head * headDim + (i % 2) * (headDim / 2) + (i >> 1)) * columns + column];
  });
}

async function toGguf(file: ModelFile, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const { architecture, config } = await describeModel(file);
  const entries = new Map(architecture.weights(config).map((entry) => [entry.name, entry]));
  const tensors = new Map<string, GgufTensor & { data: Float32Array }>();
  for (const { spec, source } of locateWeights(file, [...entries.values()])) {
    const place = entries.get(spec.name)?.places[0];
    assert(place, spec.name);
    let data = dequantize(
      source.dtype,
      await source.read(0, source.byteLength),
      new Float32Array(elementCount(spec.shape)),
    );
    const rotary = /(query|key)\.weight$/.exec(spec.name)?.[1];
    const columns = spec.shape[1] ?? 1;
    if ((name === "llama" || name === "smollm3") && rotary) {
      data = interleave(data, rotary === "query" ? config.heads : config.kvHeads, columns);
    }
    if (/[nN]orm\.weight$/.test(spec.name)) data = data.map((weight) => weight + config.norm.weightOffset);
    const [key] = place.tensors;
    const tensor = tensors.get(key) ?? {
      name: key,
      dtype: "f32",
      shape: place.shape,
      data: new Float32Array(elementCount(place.shape)),
    };
    tensors.set(key, tensor);
    // All parts of a fused tensor are one run of rows here.
    tensor.data.set(data, (place.rows?.offset ?? 0) * columns);
  }
  return buildGguf({ metadata: metadata(name, config), tensors: [...tensors.values()] });
}

/** What a GGUF file cannot say in the same way. */
function comparable(config: DecoderConfig): unknown {
  const rope = (value: DecoderConfig["rope"]): unknown => value && { ...value, interleaved: false };
  return {
    ...config,
    architecture: "",
    norm: { ...config.norm, eps: Math.fround(config.norm.eps), weightOffset: 0 },
    attentionScale: Math.fround(config.attentionScale),
    bosId: config.bosId ?? 0,
    rope: rope(config.rope),
    localRope: rope(config.localRope),
    alibi: config.alibi ?? null,
    qkNorm: config.qkNorm ?? null,
    experts: config.experts ?? null,
  };
}

for (const [architecture, cases] of Object.entries(CASES)) {
  for (const name of cases) {
    Deno.test(`golden ${name} as GGUF ${architecture}`, async () => {
      const folder = new URL(`${name}/`, MODELS);
      const file = await openModelFile(folder);
      const { config } = await describeModel(file);
      const bytes = await toGguf(file, architecture);
      file.close();
      const [prompt] = JSON.parse(await Deno.readTextFile(new URL("golden.json", folder))).prompts;
      await using model = await load(bytes, { backend: "wasm", kv: "f32" });
      assertEquals(comparable(model.config), comparable(config));
      const logits = await model.logits(prompt.input_ids);
      const expected: number[] = prompt.logits_last;
      const difference = expected.reduce((max, x, i) => Math.max(max, Math.abs(x - logits[i])), 0);
      assert(difference <= 1e-4, `logits differ by ${difference}`);
    });
  }
}
