/**
 * T5: an encoder–decoder with relative biases in place of positions, RMS norms, no biases, and scores that are not
 * scaled.
 *
 * @module
 */
import type { ModelMetadata } from "./architecture.ts";
import type { DecoderConfig } from "./config.ts";
import type { ConfigReader } from "./config_reader.ts";
import { encoderDecoderArchitecture } from "./encoder_decoder.ts";
import type { DecoderNames } from "./names.ts";

/** Names of a stack's feed-forward block, which is the last of its blocks. */
const feedForward = (block: number): DecoderNames["layer"] => ({
  feedForwardNorm: ["ffn_norm", `layer.${block}.layer_norm`],
  gate: ["ffn_gate", `layer.${block}.DenseReluDense.wi_0`],
  up: ["ffn_up", [`layer.${block}.DenseReluDense.wi_1`, `layer.${block}.DenseReluDense.wi`]],
  down: ["ffn_down", `layer.${block}.DenseReluDense.wo`],
});

const selfAttention: DecoderNames["layer"] = {
  attentionNorm: ["attn_norm", "layer.0.layer_norm"],
  query: ["attn_q", "layer.0.SelfAttention.q"],
  key: ["attn_k", "layer.0.SelfAttention.k"],
  value: ["attn_v", "layer.0.SelfAttention.v"],
  output: ["attn_o", "layer.0.SelfAttention.o"],
};

const relativeBias = "block.0.layer.0.SelfAttention.relative_attention_bias";

/** T5, T5 1.1, Flan-T5 and kin. */
export const t5 = encoderDecoderArchitecture({
  ids: ["t5", "T5ForConditionalGeneration", "T5WithLMHeadModel"],
  norm: "rms",
  names: {
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
      ...feedForward(2),
    },
  },
  encoderNames: {
    prefixes: [""],
    layers: "encoder.block",
    ggufLayers: "enc.blk",
    model: {
      relativeBias: ["enc.blk.0.attn_rel_b", `encoder.${relativeBias}`],
      norm: ["enc.output_norm", "encoder.final_layer_norm"],
    },
    layer: { ...selfAttention, ...feedForward(1) },
  },
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
  config(common, read, metadata) {
    const { rope: _, ...rest } = common;
    const { layers, heads, intermediateSize, tiedHead, hiddenSize } = common;
    return {
      ...rest,
      ...feedForwardKind(read, metadata),
      layers: read.int("num_decoder_layers", layers),
      windows: Array.from({ length: read.int("num_decoder_layers", layers) }, () => 0),
      encoder: { layers, heads, intermediateSize },
      attentionScale: 1,
      // A head that is the embedding works on smaller numbers than one of its own.
      logitScale: read.bool("scale_decoder_outputs", tiedHead) ? hiddenSize ** -0.5 : 1,
      relativeBias: {
        buckets: read.int("relative_attention_num_buckets", undefined, 4),
        maxDistance: read.int("relative_attention_max_distance", undefined, 4),
      },
      decoderStartId: read.int("decoder_start_token_id", undefined, 0),
    };
  },
});

/** Values of `feed_forward_proj`; GGUF files have none, and there a gate tells the kinds apart. */
const ACTIVATIONS = {
  relu: { activation: "relu", gatedFeedForward: false },
  gelu: { activation: "gelu", gatedFeedForward: false },
  "gated-relu": { activation: "relu", gatedFeedForward: true },
  "gated-gelu": { activation: "geluTanh", gatedFeedForward: true },
  "gated-silu": { activation: "silu", gatedFeedForward: true },
} as const;

function feedForwardKind(
  read: ConfigReader,
  { naming, shapeOf }: ModelMetadata,
): Pick<DecoderConfig, "activation" | "gatedFeedForward"> {
  const gated = naming === "gguf" && shapeOf("enc.blk.0.ffn_gate.weight") !== undefined;
  const name = read.string("feed_forward_proj", gated ? "gated-gelu" : "relu");
  const known: readonly string[] = Object.keys(ACTIVATIONS);
  read.refuse(
    "feed_forward_proj",
    !known.includes(name),
    `${name} is not known; known are ${known.join(", ")}`,
  );
  return ACTIVATIONS[name as keyof typeof ACTIVATIONS];
}
