/**
 * GPT-2: layer norms, learned positions, GELU; its linear layers are stored as [in, out].
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";

/** GPT-2. */
export const gpt2 = decoderArchitecture({
  ids: ["gpt2", "GPT2LMHeadModel"],
  norm: "layer",
  names: {
    prefixes: ["transformer.", ""],
    layers: "h",
    transposed: true,
    model: {
      embedding: ["token_embd", "wte"],
      positions: ["position_embd", "wpe"],
      norm: ["output_norm", "ln_f"],
      head: ["output", "lm_head"],
    },
    layer: {
      attentionNorm: ["attn_norm", "ln_1"],
      output: ["attn_output", "attn.c_proj"],
      feedForwardNorm: ["ffn_norm", "ln_2"],
      up: ["ffn_up", "mlp.c_fc"],
      down: ["ffn_down", "mlp.c_proj"],
    },
    fusedAttention: { names: ["attn_qkv", "attn.c_attn"], interleaved: false },
  },
  fields: {
    hidden_size: ["n_embd"],
    num_hidden_layers: ["n_layer"],
    num_attention_heads: ["n_head"],
    max_position_embeddings: ["n_positions", "n_ctx"],
    intermediate_size: ["n_inner"],
    hidden_act: ["activation_function"],
    layer_norm_eps: ["layer_norm_epsilon"],
  },
  defaults: (read) => ({
    intermediate_size: 4 * read.int("hidden_size"),
    max_position_embeddings: 1024,
    hidden_act: "gelu_new",
    tie_word_embeddings: true,
  }),
  huggingFace: ({ attentionScale }) => ({ scale_attn_weights: attentionScale !== 1 }),
  config(common, read) {
    read.refuse(
      "scale_attn_by_inverse_layer_idx",
      read.bool("scale_attn_by_inverse_layer_idx", false),
      "is not supported; it must be false",
    );
    const { rope: _, ...rest } = common;
    return { ...rest, attentionScale: read.bool("scale_attn_weights", true) ? common.attentionScale : 1 };
  },
});
