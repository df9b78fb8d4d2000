/**
 * Gemma 2: gemma with a norm before and after each block, windows in every second layer, and softcaps.
 *
 * @module
 */
import type { DecoderConfig } from "./config.ts";
import type { ConfigReader } from "./config_reader.ts";
import { decoderArchitecture, type DecoderFamily } from "./decoder.ts";
import { gemmaFamily } from "./gemma.ts";

/** Gemma 2 as a family. */
export const gemma2Family: DecoderFamily = {
  ...gemmaFamily,
  ids: ["gemma2", "Gemma2ForCausalLM"],
  names: {
    ...gemmaFamily.names,
    layer: {
      ...gemmaFamily.names.layer,
      attentionPostNorm: ["post_attention_norm", "post_attention_layernorm"],
      feedForwardNorm: ["ffn_norm", "pre_feedforward_layernorm"],
      feedForwardPostNorm: ["post_ffw_norm", "post_feedforward_layernorm"],
    },
  },
  defaults: (read, naming) => ({
    ...gemmaFamily.defaults?.(read, naming),
    head_dim: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  }),
  slides: (layer) => layer % 2 === 0,
  huggingFace: (config) => ({
    hidden_activation: "gelu_pytorch_tanh",
    query_pre_attn_scalar: queryScalar(config),
  }),
  config(common, read, metadata) {
    const config = gemmaFamily.config?.(common, read, metadata) ?? common;
    return { ...config, attentionScale: queryScale(config, read, 46) };
  },
};

/**
 * The factor of attention scores. GGUF files do not have it: there the largest model of the generation, told by its
 * layers, divides by the width of a query head as if heads filled the hidden size, and the others by the head's.
 */
export function queryScale(config: DecoderConfig, read: ConfigReader, largest: number): number {
  const natural = config.layers === largest ? config.hiddenSize / config.heads : config.headDim;
  return read.positive("attention.scale", 1 / Math.sqrt(read.positive("query_pre_attn_scalar", natural)));
}

/** The factor of attention scores as `config.json` has it: rounded where that is what it came from. */
export function queryScalar({ attentionScale }: DecoderConfig): number {
  const scalar = attentionScale ** -2;
  return Math.abs(scalar - Math.round(scalar)) < 1e-4 ? Math.round(scalar) : scalar;
}

/** Gemma 2. */
export const gemma2 = decoderArchitecture(gemma2Family);
