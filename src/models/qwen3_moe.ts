/**
 * Qwen3 MoE: qwen3 with experts.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { qwenExperts } from "./qwen2_moe.ts";
import { qwen3Family } from "./qwen3.ts";

/** Qwen3 30B-A3B and 235B-A22B. */
export const qwen3Moe = decoderArchitecture({
  ...qwen3Family,
  ids: ["qwen3_moe", "qwen3moe", "Qwen3MoeForCausalLM"],
  gguf: "qwen3moe",
  names: { ...qwen3Family.names, layer: { ...qwen3Family.names.layer, ...qwenExperts } },
  fields: { num_local_experts: ["num_experts"] },
  // Every published GGUF is normalized, and none says so.
  defaults: (read, naming) => ({
    ...qwen3Family.defaults?.(read, naming),
    norm_topk_prob: naming === "gguf",
  }),
});
