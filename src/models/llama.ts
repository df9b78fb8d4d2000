/**
 * Llama and everything shaped like it: RMS norms, rotary positions, grouped-query attention, SwiGLU.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";
import { attention, type Linear } from "../nn/attention.ts";
import { gatedFeedForward } from "../nn/feed_forward.ts";
import type { RopeScaling } from "../nn/rope.ts";
import type { Architecture, ModelMetadata, WeightEntry, Weights } from "./architecture.ts";
import { checkDecoderConfig, ConfigReader, type DecoderConfig } from "./config.ts";

/** Llama 1 to 3, SmolLM2 and kin. */
export const llama: Architecture = {
  ids: ["llama", "LlamaForCausalLM"],
  smallTensors: ["rope_freqs.weight"],
  config: (metadata) =>
    checkDecoderConfig(metadata.naming === "gguf" ? ggufConfig(metadata) : huggingFaceConfig(metadata)),
  weights: llamaWeights,
  build(g, w, c, inputs) {
    let x = g.embed(inputs.tokens, w.get("embedding"));
    for (let i = 0; i < c.layers; i++) {
      const layer = llamaLayer(w, i);
      x = g.add(x, attention(g, g.rmsNorm(x, layer.attentionNorm, c.normEps), layer.attention, c, i, inputs));
      x = g.add(
        x,
        gatedFeedForward(g, g.rmsNorm(x, layer.feedForwardNorm, c.normEps), layer.feedForward, c.activation),
      );
    }
    return g.rmsNorm(x, w.get("norm"), c.normEps);
  },
};

function llamaLayer(w: Weights, i: number) {
  const linear = (name: string): Linear => ({
    weight: w.get(`layers.${i}.${name}.weight`),
    bias: w.find(`layers.${i}.${name}.bias`),
  });
  return {
    attentionNorm: w.get(`layers.${i}.attentionNorm`),
    feedForwardNorm: w.get(`layers.${i}.feedForwardNorm`),
    attention: {
      query: linear("query"),
      key: linear("key"),
      value: linear("value"),
      output: linear("output"),
    },
    feedForward: { gate: linear("gate"), up: linear("up"), down: linear("down") },
  };
}

/** Weights of a llama-shaped model, with their GGUF and Hugging Face names. */
export function llamaWeights(c: DecoderConfig): WeightEntry[] {
  const [hidden, inner] = [c.hiddenSize, c.intermediateSize];
  const [queries, keys] = [c.heads * c.headDim, c.kvHeads * c.headDim];
  const linears: [string, string, string, number, number][] = [
    ["query", "attn_q", "self_attn.q_proj", queries, hidden],
    ["key", "attn_k", "self_attn.k_proj", keys, hidden],
    ["value", "attn_v", "self_attn.v_proj", keys, hidden],
    ["output", "attn_output", "self_attn.o_proj", hidden, queries],
    ["gate", "ffn_gate", "mlp.gate_proj", inner, hidden],
    ["up", "ffn_up", "mlp.up_proj", inner, hidden],
    ["down", "ffn_down", "mlp.down_proj", hidden, inner],
  ];
  const layer = (i: number): WeightEntry[] => [
    entry(`layers.${i}.attentionNorm`, `blk.${i}.attn_norm.weight`, `layers.${i}.input_layernorm.weight`, [
      hidden,
    ]),
    entry(
      `layers.${i}.feedForwardNorm`,
      `blk.${i}.ffn_norm.weight`,
      `layers.${i}.post_attention_layernorm.weight`,
      [hidden],
    ),
    ...linears.flatMap(([name, gguf, face, out, inward]) => [
      entry(`layers.${i}.${name}.weight`, `blk.${i}.${gguf}.weight`, `layers.${i}.${face}.weight`, [
        out,
        inward,
      ]),
      {
        ...entry(`layers.${i}.${name}.bias`, `blk.${i}.${gguf}.bias`, `layers.${i}.${face}.bias`, [out]),
        optional: true,
      },
    ]),
  ];
  const head: WeightEntry = {
    name: "head",
    fileNames: ["output.weight", "lm_head.weight"],
    shape: [c.vocabSize, hidden],
  };
  return [
    entry("embedding", "token_embd.weight", "embed_tokens.weight", [c.vocabSize, hidden]),
    ...Array.from({ length: c.layers }, (_, i) => layer(i)).flat(),
    entry("norm", "output_norm.weight", "norm.weight", [hidden]),
    ...(c.tiedHead ? [] : [head]),
  ];
}

/** Base models leave out the `model.` that full ones put first. */
function entry(name: string, gguf: string, face: string, shape: readonly number[]): WeightEntry {
  return { name, fileNames: [gguf, `model.${face}`, face], shape };
}

function huggingFaceConfig({ fields, shapeOf }: ModelMetadata): DecoderConfig {
  const read = new ConfigReader(fields);
  const hiddenSize = read.int("hidden_size");
  const heads = read.int("num_attention_heads");
  const headDim = read.int("head_dim", hiddenSize / heads);
  const activation = read.string("hidden_act", "silu");
  if (activation !== "silu") {
    throw new InvalidConfigError("hidden_act", `llama uses silu, and this says ${activation}`);
  }
  return {
    architecture: "llama",
    vocabSize: read.int("vocab_size"),
    hiddenSize,
    intermediateSize: read.int("intermediate_size"),
    layers: read.int("num_hidden_layers"),
    heads,
    kvHeads: read.int("num_key_value_heads", heads),
    headDim,
    contextLength: read.int("max_position_embeddings", 2048),
    normEps: read.positive("rms_norm_eps", 1e-6),
    activation: "silu",
    rope: { ...huggingFaceRope(read), rotaryDim: headDim, interleaved: false },
    tiedHead: read.bool("tie_word_embeddings", false) || shapeOf("lm_head.weight") === undefined,
    bosId: read.ids("bos_token_id")[0],
    eosIds: read.ids("eos_token_id"),
  };
}

/** transformers 5 writes `rope_parameters`; 4.x wrote `rope_theta` and `rope_scaling`. */
function huggingFaceRope(read: ConfigReader): { theta: number; scaling: RopeScaling } {
  const parameters = read.object("rope_parameters");
  const theta = (parameters ?? read).positive("rope_theta", 10000);
  const scaling = parameters ?? read.object("rope_scaling");
  return { theta, scaling: scaling ? ropeScaling(scaling) : { kind: "none" } };
}

function ropeScaling(read: ConfigReader): RopeScaling {
  const kind = read.string("rope_type", read.string("type", "default"));
  if (kind === "default") return { kind: "none" };
  if (kind === "linear") return { kind, factor: read.positive("factor") };
  if (kind !== "llama3") {
    throw new InvalidConfigError("rope_type", `${kind} is not supported; default, linear and llama3 are`);
  }
  return {
    kind,
    factor: read.positive("factor"),
    lowFrequencyFactor: read.positive("low_freq_factor"),
    highFrequencyFactor: read.positive("high_freq_factor"),
    originalContext: read.int("original_max_position_embeddings"),
  };
}

function ggufConfig({ fields, shapeOf, smallTensors }: ModelMetadata): DecoderConfig {
  const read = new ConfigReader(fields, "llama.");
  const tokens = new ConfigReader(fields, "tokenizer.ggml.");
  const hiddenSize = read.int("embedding_length");
  const heads = read.int("attention.head_count");
  const headDim = read.int("attention.key_length", hiddenSize / heads);
  const embedding = shapeOf("token_embd.weight");
  const factors = smallTensors.get("rope_freqs.weight");
  const kind = read.string("rope.scaling.type", "none");
  if (kind !== "none" && kind !== "linear") {
    throw new InvalidConfigError("llama.rope.scaling.type", `${kind} is not supported; none and linear are`);
  }
  const scaling: RopeScaling = factors
    ? { kind: "factors", factors: [...factors] }
    : kind === "linear"
    ? { kind, factor: read.positive("rope.scaling.factor") }
    : { kind: "none" };
  return {
    architecture: "llama",
    vocabSize: read.int("vocab_size", embedding?.[0]),
    hiddenSize,
    intermediateSize: read.int("feed_forward_length"),
    layers: read.int("block_count"),
    heads,
    kvHeads: read.int("attention.head_count_kv", heads),
    headDim,
    contextLength: read.int("context_length"),
    normEps: read.positive("attention.layer_norm_rms_epsilon", 1e-5),
    activation: "silu",
    // GGUF llama files have their query and key rows permuted so that rotary pairs are neighbours.
    rope: {
      theta: read.positive("rope.freq_base", 10000),
      rotaryDim: read.int("rope.dimension_count", headDim),
      interleaved: true,
      scaling,
    },
    tiedHead: shapeOf("output.weight") === undefined,
    bosId: tokens.ids("bos_token_id")[0],
    eosIds: tokens.ids("eos_token_id"),
  };
}
