/**
 * Qwen2: llama with biases on queries, keys and values, and optional windows in the upper layers.
 *
 * @module
 */
import { decoderArchitecture, type DecoderFamily } from "./decoder.ts";
import { llamaNames } from "./llama.ts";

/** Qwen2 as a family. */
export const qwen2Family: DecoderFamily = {
  ids: ["qwen2", "Qwen2ForCausalLM"],
  norm: "rms",
  names: llamaNames,
  defaults: () => ({ use_sliding_window: false, max_position_embeddings: 32768 }),
  slides: (layer, read) => layer >= read.int("max_window_layers", 28, 0),
};

/** Qwen2 and Qwen2.5. */
export const qwen2 = decoderArchitecture(qwen2Family);
