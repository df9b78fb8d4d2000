/**
 * The rows of RoBERTa's position table that stand before the first token's. No token reads them, and GGUF has no place for
 * them in its tensors: they go along in the metadata, so that a model comes back as it was.
 *
 * @module
 */
import type { WeightSource } from "../backends/backend.ts";
import type { ModelFile } from "../formats/model_file.ts";
import type { WeightEntry } from "../models/architecture.ts";
import { POSITION_PADDING } from "../models/bert.ts";
import type { DecoderConfig } from "../models/config.ts";
import { byteLength, type DType, isQuantized } from "../tensor/dtype.ts";
import { dequantize, quantize } from "../tensor/quantize.ts";
import type { LocatedWeight } from "../weights.ts";
import type { GgufFields } from "./gguf_config.ts";

const POSITIONS = "positions.weight";

/** A weight and the place that the new file has for it. */
export interface PlacedWeight {
  /** The weight. */
  readonly weight: LocatedWeight;
  /** Its place. */
  readonly entry: WeightEntry;
}

/** The rows as metadata of a GGUF file. */
export async function ggufPadding(
  architecture: string,
  file: ModelFile,
  { positionOffset = 0, hiddenSize }: DecoderConfig,
  located: readonly LocatedWeight[],
): Promise<GgufFields> {
  const found = located.find(({ spec }) => spec.name === POSITIONS);
  const table = found && file.tensors.get(found.tensors[0]);
  if (!table || positionOffset === 0) return {};
  const rows = new Float32Array(positionOffset * hiddenSize);
  const bytes = await table.source.read(table.offset, byteLength(table.dtype, rows.length));
  dequantize(table.dtype, bytes, rows);
  return { [`${architecture}.${POSITION_PADDING}`]: { of: "f32", values: Array.from(rows) } };
}

/** The rows of a GGUF file as a weight with its place at the begin of the table, [offset, hidden]. */
export function paddingWeight(
  { metadata }: ModelFile,
  { positionOffset = 0, hiddenSize }: DecoderConfig,
  { entries, located }: { entries: readonly WeightEntry[]; located: readonly LocatedWeight[] },
): PlacedWeight | undefined {
  const rows = metadata[`${metadata["general.architecture"]}.${POSITION_PADDING}`];
  const found = located.find(({ spec }) => spec.name === POSITIONS);
  const table = entries.find(({ name }) => name === POSITIONS)
    ?.places.find(({ written }) => written === "hugging_face");
  if (positionOffset === 0 || !found || !table || !(rows instanceof Float32Array)) return undefined;
  const dtype = rowsDType(found.source.dtype);
  const spec = { ...found.spec, name: "positions.padding", shape: [positionOffset, hiddenSize], dtype };
  const cut = { offset: 0, length: positionOffset, stride: positionOffset, count: 1 };
  return {
    weight: { spec, source: inMemory(dtype, quantize(dtype, rows)), offset: 0, tensors: [] },
    entry: { name: spec.name, shape: spec.shape, places: [{ ...table, rows: cut }] },
  };
}

function inMemory(dtype: DType, bytes: Uint8Array): WeightSource {
  const read = (offset: number, length: number) => Promise.resolve(bytes.subarray(offset, offset + length));
  return { dtype, byteLength: bytes.length, read };
}

/** The dtype of the rest of the table, where rows can be put into it. */
function rowsDType(dtype: DType): DType {
  return isQuantized(dtype) ? "f32" : dtype;
}
