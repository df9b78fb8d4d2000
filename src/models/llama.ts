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

/** Llama as a family, for those that differ in little. */
export const llamaFamily: DecoderFamily = {
  ids: ["llama", "LlamaForCausalLM"],
  norm: "rms",
  names: llamaNames,
  // GGUF llama files have their query and key rows permuted so that rotary pairs are neighbours.
  config: (common, _read, { naming }) =>
    common.rope ? { ...common, rope: { ...common.rope, interleaved: naming === "gguf" } } : common,
};

/** Llama 1 to 3, SmolLM2 and kin. */
export const llama = decoderArchitecture(llamaFamily);
