/**
 * BLOOM: ALiBi in place of positional embeddings, a layer norm right behind the embedding; query, key and value of each
 * head stand together in one tensor.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";

/** BLOOM and BLOOMZ. */
export const bloom = decoderArchitecture({
  ids: ["bloom", "BloomForCausalLM"],
  norm: "layer",
  names: {
    prefixes: ["transformer.", ""],
    layers: "h",
    model: {
      embedding: ["token_embd", "word_embeddings"],
      embeddingNorm: ["token_embd_norm", "word_embeddings_layernorm"],
      norm: ["output_norm", "ln_f"],
      head: ["output", "lm_head"],
    },
    layer: {
      attentionNorm: ["attn_norm", "input_layernorm"],
      output: ["attn_output", "self_attention.dense"],
      feedForwardNorm: ["ffn_norm", "post_attention_layernorm"],
      up: ["ffn_up", "mlp.dense_h_to_4h"],
      down: ["ffn_down", "mlp.dense_4h_to_h"],
    },
    fusedAttention: { names: ["attn_qkv", "self_attention.query_key_value"], interleaved: true },
  },
  fields: {
    hidden_size: ["n_embed"],
    num_hidden_layers: ["n_layer"],
    num_attention_heads: ["n_head"],
    max_position_embeddings: ["seq_length"],
    layer_norm_eps: ["layer_norm_epsilon"],
  },
  defaults: (read) => ({
    intermediate_size: 4 * read.int("hidden_size"),
    hidden_act: "gelu_new",
    tie_word_embeddings: true,
  }),
  config(common, read) {
    const post = "apply_residual_connection_post_layernorm";
    read.refuse(post, read.bool(post, false), "is not supported; it must be false");
    const { rope: _, ...rest } = common;
    return { ...rest, alibi: { maxBias: 8, scale: 1 } };
  },
});
