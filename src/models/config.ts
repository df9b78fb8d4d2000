/**
 * The configuration of a decoder, read from a Hugging Face `config.json` or from GGUF metadata and checked.
 *
 * @module
 */
import type { ExpertsConfig } from "../nn/experts.ts";
import type { NormConfig } from "../nn/norm.ts";
import type { RelativeBiasConfig } from "../nn/relative_bias.ts";
import type { RopeConfig } from "../nn/rope.ts";
import type { Activation } from "../program/ops.ts";
import type { ModelMetadata } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import type { Pooling } from "./pooling.ts";
import { ggufRope, huggingFaceLocalRope, huggingFaceRope } from "./rope_config.ts";

/**
 * Sizes and constants of a model. Of an encoder–decoder they are the decoder's, and `encoder` has what differs in the
 * encoder.
 */
export interface DecoderConfig {
  /** Architecture as the project names it, such as `llama`. */
  readonly architecture: string;
  /** What it does: goes on from tokens, reads them, or reads some and writes others. */
  readonly kind: "decoder" | "encoder" | "encoder-decoder";
  /** Tokens in the vocabulary. */
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the feed-forward block. */
  readonly intermediateSize: number;
  /** Number of layers. */
  readonly layers: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads. */
  readonly kvHeads: number;
  /** Width of a head. */
  readonly headDim: number;
  /** Longest context the model was made for, in tokens. */
  readonly contextLength: number;
  /** Norms of the residual stream. */
  readonly norm: NormConfig;
  /** Activation of the feed-forward block. */
  readonly activation: Activation;
  /** Whether the feed-forward block has a gate; families in which all are alike do not say. */
  readonly gatedFeedForward?: boolean;
  /** Rotary embedding; absent in models with other positions. */
  readonly rope?: RopeConfig;
  /** Rotary embedding of the layers with a window, where it is another one. */
  readonly localRope?: RopeConfig;
  /** ALiBi: largest bias, and a factor of all slopes; absent in models without it. */
  readonly alibi?: { readonly maxBias: number; readonly scale: number };
  /** Layers whose queries and keys are rotated; all where it is absent. */
  readonly ropeLayers?: readonly boolean[];
  /** Bias of the scores by the distance of key and query; absent in models without it. */
  readonly relativeBias?: RelativeBiasConfig;
  /** Rows of the position table before that of the first token; 0 where it is absent. */
  readonly positionOffset?: number;
  /** Number of token types; absent in models without them. */
  readonly tokenTypes?: number;
  /** Sizes of the encoder; absent in models of one stack. */
  readonly encoder?: EncoderConfig;
  /** The token that an encoder–decoder's output begins with. */
  readonly decoderStartId?: number;
  /** Scores of the classification head; absent in models without one. */
  readonly labels?: number;
  /** How embeddings are pooled; absent where the file does not say. */
  readonly pooling?: Pooling;
  /** Tokens that each layer sees, the token itself included; 0 is all. */
  readonly windows: readonly number[];
  /** Factor of attention scores, mostly 1/√headDim. */
  readonly attentionScale: number;
  /** Attention scores are bent to cap·tanh(score/cap); 0 leaves them. */
  readonly attentionSoftcap: number;
  /** Logits are bent to cap·tanh(logit/cap); 0 leaves them. */
  readonly logitSoftcap: number;
  /** Factor of the logits. */
  readonly logitScale: number;
  /** Factor of the token embeddings. */
  readonly embeddingScale: number;
  /** Queries and keys are normed: each head by itself, or the whole width at once. */
  readonly qkNorm?: "head" | "width";
  /** Attention and feed-forward read the same input, and their results are added at once. */
  readonly parallelResidual: boolean;
  /** Experts in place of the feed-forward block; absent in dense models. */
  readonly experts?: ExpertsConfig;
  /** The output head is the embedding. */
  readonly tiedHead: boolean;
  /** Beginning-of-sequence token. */
  readonly bosId?: number;
  /** Tokens that end a text. */
  readonly eosIds: readonly number[];
}

/** Sizes of the encoder of an encoder–decoder. */
export interface EncoderConfig {
  /** Number of layers. */
  readonly layers: number;
  /** Query heads, and key and value heads. */
  readonly heads: number;
  /** Width of the feed-forward block. */
  readonly intermediateSize: number;
}

/** The configuration of an encoder–decoder's encoder, as of a model by itself. */
export function encoderConfig(c: DecoderConfig): DecoderConfig {
  if (!c.encoder) return c;
  const { layers, heads } = c.encoder;
  const windows = Array.from({ length: layers }, () => 0);
  return { ...c, ...c.encoder, kind: "encoder", kvHeads: heads, windows };
}

/** What the configurations of a family have in common. */
export interface ConfigRules {
  /** `model_type`, GGUF and class names; the first is the project's own. */
  readonly ids: readonly string[];
  /** Norm of the residual stream. */
  readonly norm: NormConfig["kind"];
  /** Names of `config.json` fields where they are not llama's, such as `n_embd` for `hidden_size`. */
  readonly fields?: Readonly<Record<string, readonly string[]>>;
  /** Values of fields that a file may lack, by llama's names. */
  defaults?(read: ConfigReader, naming: ModelMetadata["naming"]): Record<string, unknown>;
  /** Whether a layer has the sliding window, where the file does not list it. Default: every one. */
  slides?(layer: number, read: ConfigReader): boolean;
  /** Hugging Face name of the output head. Default: `lm_head.weight`. */
  readonly head?: string;
}

/** GGUF names of fields, by their names in llama's `config.json`. */
export const GGUF_FIELDS = {
  hidden_size: ["embedding_length"],
  intermediate_size: ["feed_forward_length"],
  num_hidden_layers: ["block_count"],
  num_attention_heads: ["attention.head_count"],
  num_key_value_heads: ["attention.head_count_kv"],
  head_dim: ["attention.key_length"],
  max_position_embeddings: ["context_length"],
  rms_norm_eps: ["attention.layer_norm_rms_epsilon"],
  layer_norm_eps: ["attention.layer_norm_epsilon"],
  sliding_window: ["attention.sliding_window"],
  num_decoder_layers: ["decoder_block_count"],
  relative_attention_num_buckets: ["attention.relative_buckets_count"],
  relative_attention_max_distance: ["attention.relative_max_distance"],
  attn_logit_softcapping: ["attn_logit_softcapping"],
  final_logit_softcapping: ["final_logit_softcapping"],
  alibi_bias_max: ["attention.max_alibi_bias"],
  clip_qkv: ["attention.clamp_kqv"],
  num_local_experts: ["expert_count"],
  num_experts_per_tok: ["expert_used_count"],
  moe_intermediate_size: ["expert_feed_forward_length"],
  shared_expert_intermediate_size: ["expert_shared_feed_forward_length"],
  norm_topk_prob: ["expert_weights_norm"],
  sliding_window_pattern: ["attention.sliding_window_pattern"],
};

/** More layers than this are damage; the deepest models have about 130. */
const MAX_LAYERS = 2048;
/** More feed-forward blocks, over all layers, are damage; the largest mixtures have about 25,000. */
const MAX_BLOCKS = 2 ** 17;

/** Names of activations in `config.json`. */
export const ACTIVATION_NAMES: Readonly<Record<string, Activation>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_accurate: "geluTanh",
  gelu_new: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  quick_gelu: "quickGelu",
  relu: "relu",
  silu: "silu",
  swish: "silu",
  sigmoid: "sigmoid",
  tanh: "tanh",
};

/** A reader of a file's fields by their names in llama's `config.json`, whatever the file calls them. */
export function fieldReader({ naming, fields }: ModelMetadata, rules: ConfigRules): ConfigReader {
  const options = naming === "gguf"
    ? { prefix: `${fields["general.architecture"]}.`, aliases: GGUF_FIELDS }
    : { aliases: rules.fields };
  const read = new ConfigReader(fields, options);
  return rules.defaults ? read.withDefaults(rules.defaults(read, naming)) : read;
}

/** Reads what all families have in common; a family changes what is its own. */
export function decoderConfig(metadata: ModelMetadata, rules: ConfigRules): DecoderConfig {
  const { naming, fields, shapeOf } = metadata;
  const gguf = naming === "gguf";
  const read = fieldReader(metadata, rules);
  const tokens = gguf ? new ConfigReader(fields, { prefix: "tokenizer.ggml." }) : read;
  const head = gguf ? "output.weight" : rules.head ?? "lm_head.weight";
  const hiddenSize = read.int("hidden_size");
  const layers = read.int("num_hidden_layers");
  read.refuse("num_hidden_layers", layers > MAX_LAYERS, `${layers} is more than ${MAX_LAYERS}`);
  const heads = read.int("num_attention_heads");
  const headDim = read.int("head_dim", hiddenSize / heads);
  const contextLength = read.int("max_position_embeddings", gguf ? undefined : 2048);
  const positions = { headDim, contextLength, interleaved: false };
  const experts = read.has("num_local_experts") ? expertsConfig(read) : undefined;
  const blocks = layers * (experts?.count ?? 1);
  read.refuse(
    "num_local_experts",
    blocks > MAX_BLOCKS,
    `${blocks} in all layers are more than ${MAX_BLOCKS}`,
  );
  const localRope = gguf ? undefined : huggingFaceLocalRope(read, positions);
  return {
    architecture: rules.ids[0],
    kind: "decoder",
    vocabSize: read.int("vocab_size", gguf ? shapeOf("token_embd.weight")?.[0] : undefined),
    hiddenSize,
    intermediateSize: read.int("intermediate_size"),
    layers,
    heads,
    kvHeads: read.int("num_key_value_heads", heads),
    headDim,
    contextLength,
    norm: {
      kind: rules.norm,
      eps: rules.norm === "rms"
        ? read.positive("rms_norm_eps", gguf ? 1e-5 : 1e-6)
        : read.positive("layer_norm_eps", 1e-5),
      weightOffset: 0,
    },
    activation: activation(read),
    rope: gguf ? ggufRope(read, positions, metadata.smallTensors) : huggingFaceRope(read, positions),
    ...(localRope ? { localRope } : {}),
    windows: windows(read, layers, rules),
    attentionScale: 1 / Math.sqrt(headDim),
    attentionSoftcap: read.has("attn_logit_softcapping") ? read.positive("attn_logit_softcapping") : 0,
    logitSoftcap: read.has("final_logit_softcapping") ? read.positive("final_logit_softcapping") : 0,
    logitScale: 1,
    embeddingScale: 1,
    parallelResidual: false,
    ...(experts ? { experts } : {}),
    ...(gguf ? ggufPooling(read) : {}),
    tiedHead: (!gguf && read.bool("tie_word_embeddings", false)) || shapeOf(head) === undefined,
    bosId: tokens.ids("bos_token_id")[0],
    eosIds: tokens.ids("eos_token_id"),
  };
}

/** Codes of GGUF's `pooling_type`. */
export const GGUF_POOLINGS: readonly Pooling[] = ["none", "mean", "cls", "last"];
/** The code of a model that gives a score in place of a vector. */
export const GGUF_RANKING = 4;

function ggufPooling(read: ConfigReader): { readonly pooling?: Pooling } {
  const pooling = GGUF_POOLINGS[read.int("pooling_type", GGUF_RANKING, 0)];
  return pooling ? { pooling } : {};
}

function expertsConfig(read: ConfigReader): ExpertsConfig {
  const count = read.int("num_local_experts");
  const used = read.int("num_experts_per_tok");
  read.refuse("num_experts_per_tok", used > count, `${used} is more than the ${count} experts`);
  const dense = read.int("decoder_sparse_step", 1) !== 1 ||
    (read.numbers("mlp_only_layers") ?? []).length > 0;
  read.refuse("decoder_sparse_step", dense, "dense layers among those with experts are not supported");
  return {
    count,
    used,
    intermediateSize: read.int("moe_intermediate_size"),
    sharedSize: read.int("shared_expert_intermediate_size", 0, 0),
    normalized: read.bool("norm_topk_prob"),
  };
}

function activation(read: ConfigReader): Activation {
  const name = read.string("hidden_act", "silu");
  const names = Object.keys(ACTIVATION_NAMES);
  read.refuse("hidden_act", !names.includes(name), `${name} is not known; known are ${names.join(", ")}`);
  return ACTIVATION_NAMES[name];
}

function windows(read: ConfigReader, layers: number, rules: ConfigRules): number[] {
  const enabled = read.bool("use_sliding_window", true);
  const window = enabled && read.has("sliding_window") ? read.int("sliding_window", 0, 0) : 0;
  const types = read.strings("layer_types");
  return Array.from({ length: layers }, (_, layer) => {
    const slides = types ? types[layer] === "sliding_attention" : rules.slides?.(layer, read) ?? true;
    return slides ? window : 0;
  });
}
