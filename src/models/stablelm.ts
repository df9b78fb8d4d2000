/**
 * StableLM: llama with layer norms and a quarter of each head rotated; some have both blocks side by side.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { llamaNames } from "./llama.ts";

/** StableLM 2 and StableLM-3B. */
export const stablelm = decoderArchitecture({
  ids: ["stablelm", "StableLmForCausalLM"],
  norm: "layer",
  names: llamaNames,
  defaults: () => ({ partial_rotary_factor: 0.25 }),
  huggingFace: ({ parallelResidual }, has) => ({
    use_parallel_residual: parallelResidual,
    use_qkv_bias: has("layers.0.query.bias"),
  }),
  config(common, read) {
    read.refuse("qk_layernorm", read.bool("qk_layernorm", false), "is not supported; it must be false");
    return { ...common, parallelResidual: read.bool("use_parallel_residual", false) };
  },
});
