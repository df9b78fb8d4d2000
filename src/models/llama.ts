/**
 * Llama and everything shaped like it: RMS norms, rotary positions, grouped-query attention, SwiGLU.
 *
 * @module
 */
import { decoderArchitecture, type DecoderFamily } from "./decoder.ts";
import type { DecoderNames } from "./names.ts";

/** Names of llama's weights, which many families share. */
export const llamaNames: DecoderNames = {
  prefixes: ["model.", ""],
  layers: "layers",
  model: {
    embedding: ["token_embd", "embed_tokens"],
    norm: ["output_norm", "norm"],
    head: ["output", "lm_head"],
  },
  layer: {
    attentionNorm: ["attn_norm", "input_layernorm"],
    query: ["attn_q", "self_attn.q_proj"],
    key: ["attn_k", "self_attn.k_proj"],
    value: ["attn_v", "self_attn.v_proj"],
    output: ["attn_output", "self_attn.o_proj"],
    feedForwardNorm: ["ffn_norm", "post_attention_layernorm"],
    gate: ["ffn_gate", "mlp.gate_proj"],
    up: ["ffn_up", "mlp.up_proj"],
    down: ["ffn_down", "mlp.down_proj"],
  },
};

/** Names of the experts that GGUF files of llama may have: those are mixtral. */
const expertNames: DecoderNames["layer"] = {
  router: ["ffn_gate_inp", "block_sparse_moe.gate"],
  "experts.gate": [["ffn_gate_exps", "ffn_gate.*"], "block_sparse_moe.experts.*.w1"],
  "experts.up": [["ffn_up_exps", "ffn_up.*"], "block_sparse_moe.experts.*.w3"],
  "experts.down": [["ffn_down_exps", "ffn_down.*"], "block_sparse_moe.experts.*.w2"],
};

/** Llama as a family, for those that differ in little. */
export const llamaFamily: DecoderFamily = {
  ids: ["llama", "LlamaForCausalLM"],
  norm: "rms",
  names: { ...llamaNames, layer: { ...llamaNames.layer, ...expertNames } },
  defaults: (read) => ({ norm_topk_prob: true, moe_intermediate_size: read.int("intermediate_size") }),
  huggingFace: (_config, has) => ({
    attention_bias: has("layers.0.query.bias"),
    mlp_bias: has("layers.0.up.bias"),
  }),
  // GGUF llama files have their query and key rows permuted so that rotary pairs are neighbours.
  config: (common, _read, { naming }) =>
    common.rope ? { ...common, rope: { ...common.rope, interleaved: naming === "gguf" } } : common,
};

/** Llama 1 to 3, SmolLM2 and kin. */
export const llama = decoderArchitecture(llamaFamily);
