/**
 * OLMo 2: llama with its norms behind the blocks, and RMS norms over all queries and all keys.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { llamaNames } from "./llama.ts";
import { qwen3Names } from "./qwen3.ts";

const { attentionNorm: _, feedForwardNorm: __, ...projections } = llamaNames.layer;

/** OLMo 2. */
export const olmo2 = decoderArchitecture({
  ids: ["olmo2", "Olmo2ForCausalLM"],
  norm: "rms",
  names: {
    ...llamaNames,
    layer: {
      ...projections,
      queryNorm: qwen3Names.layer.queryNorm,
      keyNorm: qwen3Names.layer.keyNorm,
      attentionPostNorm: ["post_attention_norm", "post_attention_layernorm"],
      feedForwardPostNorm: ["post_ffw_norm", "post_feedforward_layernorm"],
    },
  },
  config: (common) => ({ ...common, qkNorm: "width" }),
});
