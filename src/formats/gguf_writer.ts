/**
 * Writes GGUF, version 3.
 *
 * @module
 */
import { DTypeError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { type ByteSink, type WriteOptions, writePadding, writeTensor } from "./byte_sink.ts";
import { ByteWriter } from "./byte_writer.ts";
import { GGUF_DTYPES } from "./gguf_types.ts";
import { type MetadataPair, writePairs, writeString } from "./gguf_values.ts";
import type { TensorOut } from "./tensor_out.ts";

/** Where the data section and the tensors in it start, unless `general.alignment` says otherwise. */
export const GGUF_ALIGNMENT = 32;

const TYPE_NUMBERS: ReadonlyMap<DType, number> = new Map(
  Object.entries(GGUF_DTYPES).map(([number, dtype]) => [dtype, Number(number)]),
);

/** The number of a tensor type (`ggml_type`). Throws a `DTypeError` where the format has none. */
export function ggufTypeNumber(dtype: DType): number {
  const number = TYPE_NUMBERS.get(dtype);
  if (number !== undefined) return number;
  throw new DTypeError(`GGUF has no type for ${dtype} tensors; convert to safetensors or forge`);
}

/** What goes into a file. */
export interface GgufContent {
  /** The metadata; `general.alignment` must be absent or that of the file. */
  readonly pairs: readonly MetadataPair[];
  /** The tensors in their order. */
  readonly tensors: readonly TensorOut[];
  /** Default: {@linkcode GGUF_ALIGNMENT}. */
  readonly alignment?: number;
}

/** Writes the header, then each tensor as it comes. The sink is left open. */
export async function writeGguf(sink: ByteSink, content: GgufContent, options?: WriteOptions): Promise<void> {
  const { pairs, tensors, alignment = GGUF_ALIGNMENT } = content;
  const w = new ByteWriter().bytes(new TextEncoder().encode("GGUF")).u32(3);
  w.u64(tensors.length).u64(pairs.length);
  writePairs(w, pairs);
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    writeString(w, name);
    w.u32(shape.length);
    for (const dim of shape.toReversed()) w.u64(dim);
    w.u32(ggufTypeNumber(dtype)).u64(offset);
    offset += Math.ceil(byteLength / alignment) * alignment;
  }
  sink.write(w.align(alignment).finish());
  for (const tensor of tensors) {
    await writeTensor(sink, tensor, options);
    writePadding(sink, tensor.byteLength, alignment);
  }
}
