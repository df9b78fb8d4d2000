/**
 * Gemma 3, text only: gemma2 with norms of query and key heads in place of softcaps, and rotary bases of their own for
 * the layers with a window.
 *
 * @module
 */
import type { ModelMetadata } from "./architecture.ts";
import { decoderArchitecture } from "./decoder.ts";
import { gemma2Family, queryScalar, queryScale } from "./gemma2.ts";
import { gemmaFamily } from "./gemma.ts";
import { qwen3Names } from "./qwen3.ts";

/** Gemma 3. */
export const gemma3 = decoderArchitecture({
  ...gemmaFamily,
  ids: ["gemma3_text", "gemma3", "Gemma3ForCausalLM"],
  gguf: "gemma3",
  names: {
    ...gemma2Family.names,
    layer: {
      ...gemma2Family.names.layer,
      queryNorm: qwen3Names.layer.queryNorm,
      keyNorm: qwen3Names.layer.keyNorm,
    },
  },
  defaults: (read, naming) => ({
    ...gemmaFamily.defaults?.(read, naming),
    head_dim: 256,
    sliding_window: 4096,
    rope_theta: 1000000,
  }),
  slides: (layer, read) => (layer + 1) % read.int("sliding_window_pattern", 6) !== 0,
  huggingFace: (config) => ({
    hidden_activation: "gelu_pytorch_tanh",
    query_pre_attn_scalar: queryScalar(config),
    ...(config.localRope ? { rope_local_base_freq: config.localRope.theta } : {}),
  }),
  config(common, read, metadata) {
    const config = gemmaFamily.config?.(common, read, metadata) ?? common;
    const theta = read.positive(localBase(metadata), 10000);
    const local = config.rope && { ...config.rope, theta, scaling: { kind: "none" as const } };
    const localRope = config.localRope ?? local;
    return { ...config, qkNorm: "head", localRope, attentionScale: queryScale(config, read, 62) };
  },
});

function localBase({ naming }: ModelMetadata): string {
  return naming === "gguf" ? "rope.freq_base_swa" : "rope_local_base_freq";
}
