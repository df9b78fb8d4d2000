/**
 * MPT: ALiBi, no biases, query, key and value in one tensor.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";
import type { ConfigReader } from "./config_reader.ts";
import { decoderArchitecture } from "./decoder.ts";

/** MPT 7B, 30B and kin. */
export const mpt = decoderArchitecture({
  ids: ["mpt", "MptForCausalLM", "MPTForCausalLM"],
  norm: "layer",
  names: {
    prefixes: ["transformer.", ""],
    layers: "blocks",
    model: {
      embedding: ["token_embd", "wte"],
      norm: ["output_norm", "norm_f"],
      head: ["output", "lm_head"],
    },
    layer: {
      attentionNorm: ["attn_norm", "norm_1"],
      output: ["attn_output", "attn.out_proj"],
      feedForwardNorm: ["ffn_norm", "norm_2"],
      up: ["ffn_up", "ffn.up_proj"],
      down: ["ffn_down", "ffn.down_proj"],
    },
    fusedAttention: { names: ["attn_qkv", "attn.Wqkv"], interleaved: false },
  },
  fields: {
    hidden_size: ["d_model"],
    num_hidden_layers: ["n_layers"],
    num_attention_heads: ["n_heads"],
    max_position_embeddings: ["max_seq_len"],
    layer_norm_eps: ["layer_norm_epsilon"],
  },
  // `expansion_ratio` is left out on purpose: the reference does not look at it.
  defaults: (read) => ({
    intermediate_size: 4 * read.int("hidden_size"),
    hidden_act: "gelu",
    tie_word_embeddings: true,
  }),
  huggingFace: ({ alibi, attentionScale, headDim }) => ({
    attn_config: {
      alibi: true,
      alibi_bias_max: alibi?.maxBias,
      softmax_scale: attentionScale === 1 / Math.sqrt(headDim) ? null : attentionScale,
    },
  }),
  config(common, read, { naming }) {
    const attention = naming === "gguf" ? read : read.object("attn_config");
    const { rope: _, ...rest } = common;
    return {
      ...rest,
      alibi: { maxBias: maxBias(attention), scale: 1 },
      attentionScale: attention?.positive("softmax_scale", common.attentionScale) ?? common.attentionScale,
    };
  },
});

function maxBias(read: ConfigReader | undefined): number {
  if (!read) throw new InvalidConfigError("attn_config", "is missing");
  read.refuse("alibi", !read.bool("alibi", true), "must be true; other positions are not supported");
  read.refuse("qk_ln", read.bool("qk_ln", false), "is not supported; it must be false");
  read.refuse("clip_qkv", read.has("clip_qkv"), "is not supported; it must be absent");
  return read.positive("alibi_bias_max", 8);
}
