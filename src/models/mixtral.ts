/**
 * Mixtral: mistral with experts in place of the feed-forward block. Its GGUF files call themselves llama.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { llamaFamily } from "./llama.ts";

/** Mixtral 8x7B and 8x22B. */
export const mixtral = decoderArchitecture({
  ...llamaFamily,
  ids: ["mixtral", "MixtralForCausalLM"],
  gguf: "llama",
});
