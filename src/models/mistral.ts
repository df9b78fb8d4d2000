/**
 * Mistral: llama with a sliding window. Its GGUF files call themselves llama.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { llamaFamily } from "./llama.ts";

/** Mistral 7B and kin. */
export const mistral = decoderArchitecture({
  ...llamaFamily,
  ids: ["mistral", "MistralForCausalLM"],
  gguf: "llama",
});
