/**
 * Phi 3 and 4: llama with query, key and value in one tensor, gate and up in another, and LongRoPE.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { llamaNames } from "./llama.ts";

const { attentionNorm, output, feedForwardNorm, down } = llamaNames.layer;

/** Phi 3, 3.5 and 4. */
export const phi3 = decoderArchitecture({
  ids: ["phi3", "Phi3ForCausalLM"],
  norm: "rms",
  names: {
    ...llamaNames,
    layer: { attentionNorm, output, feedForwardNorm, down },
    fusedAttention: { names: ["attn_qkv", "self_attn.qkv_proj"], interleaved: false },
    fusedGate: ["ffn_up", "mlp.gate_up_proj"],
  },
});
