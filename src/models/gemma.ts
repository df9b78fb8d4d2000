/**
 * Gemma: norm weights stored as differences from 1, scaled embeddings, GELU gates, one KV head.
 *
 * @module
 */
import { decoderArchitecture, type DecoderFamily } from "./decoder.ts";
import { llamaNames } from "./llama.ts";

/** Gemma as a family. */
export const gemmaFamily: DecoderFamily = {
  ids: ["gemma", "GemmaForCausalLM"],
  norm: "rms",
  names: llamaNames,
  defaults: () => ({ hidden_act: "gelu_pytorch_tanh", tie_word_embeddings: true }),
  config: (common, _read, { naming }) => ({
    ...common,
    // Early files say `gelu`, and mean its tanh form.
    activation: "geluTanh",
    embeddingScale: Math.sqrt(common.hiddenSize),
    // GGUF files have the 1 added already.
    norm: { ...common.norm, weightOffset: naming === "gguf" ? 0 : 1 },
  }),
};

/** Gemma 1. */
export const gemma = decoderArchitecture(gemmaFamily);
