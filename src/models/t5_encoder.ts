/**
 * The encoder of a T5 by itself: a file without a decoder, which gives vectors.
 *
 * @module
 */
import { decoderArchitecture } from "./decoder.ts";
import { t5Config, t5EncoderNames, t5Fields, t5Rules } from "./t5.ts";

/** Encoders made of T5, sentence embedders among them. */
export const t5Encoder = decoderArchitecture({
  ...t5Rules,
  ids: ["t5encoder", "T5EncoderModel"],
  names(config) {
    const names = t5EncoderNames(config);
    return {
      ...names,
      model: { ...names.model, embedding: ["token_embd", ["shared", "encoder.embed_tokens"]] },
    };
  },
  huggingFace: (config) => ({ model_type: "t5", architectures: ["T5EncoderModel"], ...t5Fields(config) }),
  config: (common, read, metadata) => ({
    ...t5Config(common, read, metadata),
    kind: "encoder",
    tiedHead: true,
  }),
});
