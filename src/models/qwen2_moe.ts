/**
 * Qwen2 MoE: qwen2 with experts, and beside them a block that every token goes through.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import type { DecoderNames } from "./names.ts";
import { qwen2Family } from "./qwen2.ts";

/** Names of the experts of the Qwen families. */
export const qwenExperts: DecoderNames["layer"] = {
  router: ["ffn_gate_inp", "mlp.gate"],
  "experts.gate": ["ffn_gate_exps", "mlp.experts.*.gate_proj"],
  "experts.up": ["ffn_up_exps", "mlp.experts.*.up_proj"],
  "experts.down": ["ffn_down_exps", "mlp.experts.*.down_proj"],
};

/** Qwen1.5-MoE and Qwen2 57B-A14B. */
export const qwen2Moe = decoderArchitecture({
  ...qwen2Family,
  ids: ["qwen2_moe", "qwen2moe", "Qwen2MoeForCausalLM"],
  gguf: "qwen2moe",
  names: {
    ...qwen2Family.names,
    layer: {
      ...qwen2Family.names.layer,
      ...qwenExperts,
      "shared.router": ["ffn_gate_inp_shexp", "mlp.shared_expert_gate"],
      "shared.gate": ["ffn_gate_shexp", "mlp.shared_expert.gate_proj"],
      "shared.up": ["ffn_up_shexp", "mlp.shared_expert.up_proj"],
      "shared.down": ["ffn_down_shexp", "mlp.shared_expert.down_proj"],
    },
  },
  fields: { num_local_experts: ["num_experts"] },
  defaults: (read, naming) => ({ ...qwen2Family.defaults?.(read, naming), norm_topk_prob: false }),
});
