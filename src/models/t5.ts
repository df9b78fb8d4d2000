/**
 * T5: an encoder–decoder with relative biases in place of positions, RMS norms, no biases, and scores that are not
 * scaled.
 *
 * @module
 */
import type { ModelMetadata } from "./architecture.ts";
import { ACTIVATION_NAMES, type ConfigRules, type DecoderConfig } from "./config.ts";
import type { ConfigReader } from "./config_reader.ts";
import { encoderDecoderArchitecture } from "./encoder_decoder.ts";
import type { DecoderNames } from "./names.ts";

/** Names of a stack's feed-forward block, which is the last of its blocks; `up` is called after whether it has a gate. */
const feedForward = (block: number, { gatedFeedForward }: Gated): DecoderNames["layer"] => ({
  feedForwardNorm: ["ffn_norm", `layer.${block}.layer_norm`],
  gate: ["ffn_gate", `layer.${block}.DenseReluDense.wi_0`],
  up: ["ffn_up", `layer.${block}.DenseReluDense.${gatedFeedForward ? "wi_1" : "wi"}`],
  down: ["ffn_down", `layer.${block}.DenseReluDense.wo`],
});

type Gated = Pick<DecoderConfig, "gatedFeedForward">;

const selfAttention: DecoderNames["layer"] = {
  attentionNorm: ["attn_norm", "layer.0.layer_norm"],
  query: ["attn_q", "layer.0.SelfAttention.q"],
  key: ["attn_k", "layer.0.SelfAttention.k"],
  value: ["attn_v", "layer.0.SelfAttention.v"],
  output: ["attn_o", "layer.0.SelfAttention.o"],
};

const relativeBias = "block.0.layer.0.SelfAttention.relative_attention_bias";

const decoderNames = (config: Gated): DecoderNames => ({
  prefixes: [""],
  layers: "decoder.block",
  ggufLayers: "dec.blk",
  model: {
    embedding: ["token_embd", ["shared", "decoder.embed_tokens"]],
    relativeBias: ["dec.blk.0.attn_rel_b", `decoder.${relativeBias}`],
    norm: ["dec.output_norm", "decoder.final_layer_norm"],
    head: ["output", "lm_head"],
  },
  layer: {
    ...selfAttention,
    crossNorm: ["cross_attn_norm", "layer.1.layer_norm"],
    crossQuery: ["cross_attn_q", "layer.1.EncDecAttention.q"],
    crossKey: ["cross_attn_k", "layer.1.EncDecAttention.k"],
    crossValue: ["cross_attn_v", "layer.1.EncDecAttention.v"],
    crossOutput: ["cross_attn_o", "layer.1.EncDecAttention.o"],
    ...feedForward(2, config),
  },
});

/** Names of the encoder's weights, which stand alone in encoders made of T5. */
export const t5EncoderNames = (config: Gated): DecoderNames => ({
  prefixes: [""],
  layers: "encoder.block",
  ggufLayers: "enc.blk",
  model: {
    relativeBias: ["enc.blk.0.attn_rel_b", `encoder.${relativeBias}`],
    norm: ["enc.output_norm", "encoder.final_layer_norm"],
  },
  layer: { ...selfAttention, ...feedForward(1, config) },
});

/** What the configurations of all models of T5's kind have in common. */
export const t5Rules: Pick<ConfigRules, "norm" | "fields" | "defaults"> = {
  norm: "rms",
  fields: {
    hidden_size: ["d_model"],
    head_dim: ["d_kv"],
    intermediate_size: ["d_ff"],
    num_hidden_layers: ["num_layers"],
    num_attention_heads: ["num_heads"],
    max_position_embeddings: ["n_positions"],
    rms_norm_eps: ["layer_norm_epsilon"],
  },
  defaults: () => ({
    max_position_embeddings: 512,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    decoder_start_token_id: 0,
  }),
};

/** T5, T5 1.1, Flan-T5 and kin. */
export const t5 = encoderDecoderArchitecture({
  ...t5Rules,
  ids: ["t5", "T5ForConditionalGeneration", "T5WithLMHeadModel"],
  names: decoderNames,
  encoderNames: t5EncoderNames,
  huggingFace: (config) => ({
    architectures: ["T5ForConditionalGeneration"],
    ...t5Fields(config),
    num_layers: config.encoder?.layers,
    num_decoder_layers: config.layers,
    is_encoder_decoder: true,
    decoder_start_token_id: config.decoderStartId,
    scale_decoder_outputs: config.logitScale !== 1,
  }),
  config(common, read, metadata) {
    const { layers, heads, intermediateSize, tiedHead, hiddenSize } = common;
    const decoderLayers = read.int("num_decoder_layers", layers);
    return {
      ...t5Config(common, read, metadata),
      layers: decoderLayers,
      windows: Array.from({ length: decoderLayers }, () => 0),
      encoder: { layers, heads, intermediateSize },
      // A head that is the embedding works on smaller numbers than one of its own.
      logitScale: read.bool("scale_decoder_outputs", tiedHead) ? hiddenSize ** -0.5 : 1,
      decoderStartId: read.int("decoder_start_token_id", undefined, 0),
    };
  },
});

/** What models of T5's kind add to the common fields. */
export function t5Config(
  { rope: _, ...common }: DecoderConfig,
  read: ConfigReader,
  metadata: ModelMetadata,
): DecoderConfig {
  return {
    ...common,
    ...feedForwardKind(read, metadata),
    attentionScale: 1,
    relativeBias: {
      buckets: read.int("relative_attention_num_buckets", undefined, 4),
      maxDistance: read.int("relative_attention_max_distance", undefined, 4),
    },
  };
}

/** Fields of `config.json` that all models of T5's kind have. */
export function t5Fields({ headDim, relativeBias, ...c }: DecoderConfig): Record<string, unknown> {
  return {
    // The class has a width of its own where nothing is said.
    d_kv: headDim,
    num_key_value_heads: undefined,
    hidden_act: undefined,
    feed_forward_proj: feedForwardName(c),
    relative_attention_num_buckets: relativeBias?.buckets,
    relative_attention_max_distance: relativeBias?.maxDistance,
  };
}

/** Values of `feed_forward_proj`. */
const FEED_FORWARDS = {
  relu: { activation: "relu", gatedFeedForward: false },
  gelu: { activation: "gelu", gatedFeedForward: false },
  "gated-relu": { activation: "relu", gatedFeedForward: true },
  "gated-gelu": { activation: "geluTanh", gatedFeedForward: true },
  "gated-silu": { activation: "silu", gatedFeedForward: true },
} as const;

type FeedForward = Pick<DecoderConfig, "activation" | "gatedFeedForward">;

function feedForwardName({ activation, gatedFeedForward }: FeedForward): string | undefined {
  return Object.entries(FEED_FORWARDS).find(([, kind]) =>
    kind.activation === activation && kind.gatedFeedForward === gatedFeedForward
  )?.[0];
}

function feedForwardKind(read: ConfigReader, { naming, shapeOf }: ModelMetadata): FeedForward {
  if (naming === "gguf") {
    // A gate tells the kinds apart; an activation that is not its kind's own is said beside it.
    const gated = shapeOf("enc.blk.0.ffn_gate.weight") !== undefined;
    const name = read.string("hidden_act", gated ? "gelu_new" : "relu");
    read.refuse("hidden_act", !Object.hasOwn(ACTIVATION_NAMES, name), `${name} is not known`);
    return { activation: ACTIVATION_NAMES[name], gatedFeedForward: gated };
  }
  const name = read.string("feed_forward_proj", "relu");
  const known: readonly string[] = Object.keys(FEED_FORWARDS);
  read.refuse(
    "feed_forward_proj",
    !known.includes(name),
    `${name} is not known; known are ${known.join(", ")}`,
  );
  return FEED_FORWARDS[name as keyof typeof FEED_FORWARDS];
}
