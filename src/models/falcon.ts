/**
 * Falcon: attention and feed-forward side by side behind one layer norm or two, few KV heads; each KV head's queries,
 * key and value stand together in one tensor.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";

/** Falcon 7B, 40B, 180B and RW. */
export const falcon = decoderArchitecture({
  ids: ["falcon", "FalconForCausalLM"],
  norm: "layer",
  names: {
    prefixes: ["transformer.", ""],
    layers: "h",
    model: {
      embedding: ["token_embd", "word_embeddings"],
      norm: ["output_norm", "ln_f"],
      head: ["output", "lm_head"],
    },
    layer: {
      // GGUF calls the feed-forward norm `attn_norm` and attention's `attn_norm_2` where there are two. The first of
      // several names is that of parallel blocks with a norm each.
      attentionNorm: [["attn_norm_2", "attn_norm"], ["ln_attn", "input_layernorm"]],
      output: ["attn_output", "self_attention.dense"],
      feedForwardNorm: ["attn_norm", ["ln_mlp", "post_attention_layernorm"]],
      up: ["ffn_up", "mlp.dense_h_to_4h"],
      down: ["ffn_down", "mlp.dense_4h_to_h"],
    },
    fusedAttention: { names: ["attn_qkv", "self_attention.query_key_value"], interleaved: true },
  },
  fields: {
    num_hidden_layers: ["n_layer"],
    num_attention_heads: ["n_head"],
    num_kv_heads: ["n_head_kv"],
    intermediate_size: ["ffn_hidden_size"],
    hidden_act: ["activation"],
    layer_norm_eps: ["layer_norm_epsilon"],
  },
  defaults(read) {
    const heads = read.int("num_attention_heads");
    const grouped = read.bool("new_decoder_architecture", false);
    const shared = read.bool("multi_query", true);
    return {
      num_key_value_heads: grouped ? read.int("num_kv_heads", heads) : shared ? 1 : heads,
      intermediate_size: 4 * read.int("hidden_size"),
      hidden_act: "gelu",
      tie_word_embeddings: true,
    };
  },
  huggingFace: ({ layers, heads, kvHeads, parallelResidual, alibi }, has) => ({
    // The first files have `n_layer` and `n_head`, later ones these.
    num_hidden_layers: layers,
    num_attention_heads: heads,
    new_decoder_architecture: kvHeads > 1 && parallelResidual,
    num_kv_heads: kvHeads,
    multi_query: kvHeads === 1,
    parallel_attn: parallelResidual,
    alibi: alibi !== undefined,
    bias: has("layers.0.up.bias"),
  }),
  config(common, read) {
    const parallelResidual = read.bool("new_decoder_architecture", false) || read.bool("parallel_attn", true);
    if (!read.bool("alibi", false)) return { ...common, parallelResidual };
    const { rope: _, ...rest } = common;
    // The reference scales the bias with the scores.
    return { ...rest, parallelResidual, alibi: { maxBias: 8, scale: common.attentionScale } };
  },
});
