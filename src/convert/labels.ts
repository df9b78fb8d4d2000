/**
 * Names of the scores that a classification head gives.
 *
 * @module
 */
import type { ModelFile } from "../formats/model_file.ts";
import type { DecoderConfig } from "../models/config.ts";
import type { GgufFields } from "./gguf_config.ts";

/** GGUF key of the names, behind that of the architecture. */
const LABELS = "classifier.output_labels";

/** GGUF says how many there are by their names (llama.cpp, `n_cls_out`). */
export function ggufLabels(architecture: string, file: ModelFile, { labels }: DecoderConfig): GgufFields {
  if (labels === undefined) return {};
  const named = file.config?.id2label as Readonly<Record<string, unknown>> | undefined;
  const names = Array.from({ length: labels }, (_, i) => `${named?.[i] ?? plainLabel(i)}`);
  return { [`${architecture}.${LABELS}`]: { of: "string", values: names } };
}

/** `config.json` has them both ways, and their number nowhere else. */
export function huggingFaceLabels(
  { metadata }: ModelFile,
  { labels }: DecoderConfig,
): Readonly<Record<string, unknown>> {
  if (labels === undefined) return {};
  const named = metadata[`${metadata["general.architecture"]}.${LABELS}`];
  const names = Array.from(
    { length: labels },
    (_, i): [string, number] => [`${Array.isArray(named) ? named[i] ?? plainLabel(i) : plainLabel(i)}`, i],
  );
  return {
    id2label: Object.fromEntries(names.map(([name, i]) => [i, name])),
    label2id: Object.fromEntries(names),
  };
}

/** The name of a label without one, as transformers has it. */
function plainLabel(i: number): string {
  return `LABEL_${i}`;
}
