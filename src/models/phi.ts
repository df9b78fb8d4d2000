/**
 * Phi 1 to 2: attention and feed-forward side by side behind one layer norm, biases everywhere, half of each head
 * rotated.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";

/** Phi 1, 1.5 and 2. */
export const phi = decoderArchitecture({
  ids: ["phi", "phi2", "PhiForCausalLM"],
  gguf: "phi2",
  norm: "layer",
  names: {
    prefixes: ["model.", ""],
    layers: "layers",
    model: {
      embedding: ["token_embd", "embed_tokens"],
      norm: ["output_norm", "final_layernorm"],
      head: ["output", "lm_head"],
    },
    layer: {
      attentionNorm: ["attn_norm", "input_layernorm"],
      query: ["attn_q", "self_attn.q_proj"],
      key: ["attn_k", "self_attn.k_proj"],
      value: ["attn_v", "self_attn.v_proj"],
      output: ["attn_output", "self_attn.dense"],
      up: ["ffn_up", "mlp.fc1"],
      down: ["ffn_down", "mlp.fc2"],
    },
    fusedAttention: { names: ["attn_qkv", []], interleaved: false },
  },
  defaults: () => ({ hidden_act: "gelu_new", partial_rotary_factor: 0.5 }),
  config(common, read) {
    read.refuse("qk_layernorm", read.bool("qk_layernorm", false), "is not supported; it must be false");
    return { ...common, parallelResidual: true };
  },
});
