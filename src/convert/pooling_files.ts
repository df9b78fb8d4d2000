/**
 * How a sentence embedder pools, as the files in which sentence-transformers looks for it.
 *
 * @module
 */
import { PARTS } from "../formats/forge_layout.ts";
import type { DecoderConfig } from "../models/config.ts";
import { POOLING_FLAGS } from "../models/pooling.ts";

/** The files by name; none where the model does not say how it pools, or not in that way. */
export function poolingFiles({ pooling, hiddenSize }: DecoderConfig): Readonly<Record<string, unknown>> {
  const flags = Object.entries(POOLING_FLAGS);
  if (!flags.some(([, kind]) => kind === pooling)) return {};
  return {
    [PARTS.pooling]: {
      word_embedding_dimension: hiddenSize,
      ...Object.fromEntries(flags.map(([flag, kind]) => [flag, kind === pooling])),
    },
    "modules.json": [
      { idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" },
      { idx: 1, name: "1", path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
    ],
  };
}
