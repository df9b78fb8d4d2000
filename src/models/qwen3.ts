/**
 * Qwen3: llama with an RMS norm on every query and key head.
 *
 * @module
 */
import { decoderArchitecture, type DecoderFamily } from "./decoder.ts";
import type { DecoderNames } from "./names.ts";
import { qwen2Family } from "./qwen2.ts";

/** Names of Qwen3's weights. */
export const qwen3Names: DecoderNames = {
  ...qwen2Family.names,
  layer: {
    ...qwen2Family.names.layer,
    queryNorm: ["attn_q_norm", "self_attn.q_norm"],
    keyNorm: ["attn_k_norm", "self_attn.k_norm"],
  },
};

/** Qwen3 as a family. */
export const qwen3Family: DecoderFamily = {
  ...qwen2Family,
  ids: ["qwen3", "Qwen3ForCausalLM"],
  names: qwen3Names,
  config: (common) => ({ ...common, qkNorm: "head" }),
};

/** Qwen3, dense. */
export const qwen3 = decoderArchitecture(qwen3Family);
