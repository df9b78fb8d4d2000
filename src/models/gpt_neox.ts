/**
 * GPT-NeoX and Pythia: attention and feed-forward side by side, each behind a layer norm of its own, a quarter of each
 * head rotated; query, key and value of each head stand together in one tensor.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";

/** GPT-NeoX. */
export const gptNeox = decoderArchitecture({
  ids: ["gpt_neox", "gptneox", "GPTNeoXForCausalLM"],
  gguf: "gptneox",
  norm: "layer",
  head: "embed_out.weight",
  names: {
    prefixes: ["gpt_neox.", ""],
    layers: "layers",
    model: {
      embedding: ["token_embd", "embed_in"],
      norm: ["output_norm", "final_layer_norm"],
      head: ["output", "embed_out"],
    },
    layer: {
      attentionNorm: ["attn_norm", "input_layernorm"],
      output: ["attn_output", "attention.dense"],
      feedForwardNorm: ["ffn_norm", "post_attention_layernorm"],
      up: ["ffn_up", "mlp.dense_h_to_4h"],
      down: ["ffn_down", "mlp.dense_4h_to_h"],
    },
    fusedAttention: { names: ["attn_qkv", "attention.query_key_value"], interleaved: true },
  },
  fields: { rope_theta: ["rotary_emb_base"], partial_rotary_factor: ["rotary_pct"] },
  defaults: () => ({ hidden_act: "gelu", partial_rotary_factor: 0.25 }),
  config: (common, read) => ({ ...common, parallelResidual: read.bool("use_parallel_residual", true) }),
  huggingFace: ({ parallelResidual }, has) => ({
    use_parallel_residual: parallelResidual,
    attention_bias: has("layers.0.query.bias"),
  }),
});
