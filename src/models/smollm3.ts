/**
 * SmolLM3: llama in which every fourth layer has no rotary embedding.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { llamaFamily } from "./llama.ts";

/** SmolLM3. */
export const smollm3 = decoderArchitecture({
  ...llamaFamily,
  ids: ["smollm3", "SmolLM3ForCausalLM"],
  defaults: () => ({ tie_word_embeddings: true, rope_theta: 2e6 }),
  config(common, read, metadata) {
    const config = llamaFamily.config?.(common, read, metadata) ?? common;
    const interval = read.int("no_rope_layer_interval", 4);
    // Hugging Face lists the layers (1: rotated), GGUF has the interval in the architecture.
    const listed = read.numbers("no_rope_layers");
    const ropeLayers = Array.from(
      { length: config.layers },
      (_, layer) => listed ? listed[layer] !== 0 : (layer + 1) % interval !== 0,
    );
    return { ...config, ropeLayers };
  },
});
