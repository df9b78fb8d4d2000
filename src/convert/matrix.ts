/**
 * Weights between two files: rows of a source, changed as they pass.
 *
 * @module
 */
import type { WeightSource } from "../backends/backend.ts";
import type { ByteSource } from "../formats/byte_source.ts";
import type { TensorInfo } from "../formats/model_file.ts";
import { PIECE_BYTES, type TensorOut } from "../formats/tensor_out.ts";
import { byteLength, type DType } from "../tensor/dtype.ts";
import { dequantize, quantize } from "../tensor/quantize.ts";
import { elementCount } from "../tensor/shape.ts";
import { joined, type Run } from "../weight_source.ts";

/** A tensor of a given shape in a source. */
export interface Matrix {
  /** Name in the file. */
  readonly name: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Its bytes. */
  readonly source: WeightSource;
}

/** Elements of a row: of the innermost dimension. */
export function columnsOf(shape: readonly number[]): number {
  return shape.at(-1) ?? 1;
}

/** The tensor in another dtype, or as it is; a piece of rows is in memory at once. */
export function tensorOut({ name, shape, source }: Matrix, dtype: DType): TensorOut {
  const columns = columnsOf(shape);
  const rows = elementCount(shape) / columns;
  return {
    name,
    dtype,
    shape,
    byteLength: rows * byteLength(dtype, columns),
    pieces: () => rowPieces(source, rows, columns, dtype),
  };
}

async function* rowPieces(
  source: WeightSource,
  rows: number,
  columns: number,
  dtype: DType,
): AsyncGenerator<Uint8Array> {
  const same = source.dtype === dtype;
  const rowBytes = byteLength(source.dtype, columns);
  const step = Math.max(1, Math.floor(PIECE_BYTES / (same ? rowBytes : 4 * columns)));
  const stored = new Uint8Array(Math.min(step, rows) * rowBytes);
  const values = new Float32Array(same ? 0 : Math.min(step, rows) * columns);
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const bytes = stored.subarray(0, count * rowBytes);
    await fill(source, row * rowBytes, bytes);
    if (same) yield bytes;
    else {
      const floats = values.subarray(0, count * columns);
      dequantize(source.dtype, bytes, floats);
      yield quantize(dtype, floats);
    }
  }
}

async function fill(source: WeightSource, offset: number, into: Uint8Array): Promise<void> {
  if (source.readSync) source.readSync(offset, into);
  else into.set(await source.read(offset, into.length));
}

/** Rows of each head in another order, so that rotary pairs are neighbours, or halves again. */
export function reorderHeads(
  source: WeightSource,
  headDim: number,
  rows: number,
  to: "interleaved" | "halves",
): WeightSource {
  const length = source.byteLength / rows;
  const half = headDim / 2;
  const from = (i: number): number =>
    to === "interleaved" ? (i % 2) * half + (i >> 1) : 2 * (i % half) + Math.floor(i / half);
  const runs = Array.from({ length: rows }, (_, row): Run => {
    const [head, i] = [Math.floor(row / headDim), row % headDim];
    return { source, offset: (head * headDim + from(i)) * length, length };
  });
  return joined(source.dtype, runs);
}

/** A weight of F32 with each element changed. Elements of quantized weights are widened for it. */
export function mapped(source: WeightSource, columns: number, change: (x: number) => number): WeightSource {
  const rowBytes = byteLength(source.dtype, columns);
  const bytes = source.byteLength / rowBytes * columns * 4;
  return {
    dtype: "f32",
    byteLength: bytes,
    async read(offset, length) {
      const first = Math.floor(offset / (4 * columns));
      const last = Math.ceil((offset + length) / (4 * columns));
      const values = new Float32Array((last - first) * columns);
      dequantize(source.dtype, await source.read(first * rowBytes, (last - first) * rowBytes), values);
      const start = offset - first * 4 * columns;
      return new Uint8Array(values.map(change).buffer, start, length);
    },
  };
}

/** The source as the file of one tensor. */
export function tensorOf({ name, shape, source }: Matrix): TensorInfo {
  const file: ByteSource = {
    name,
    size: source.byteLength,
    read: (offset, length) => source.read(offset, length),
    ...(source.readSync ? { readSync: source.readSync.bind(source) } : {}),
    close: () => undefined,
  };
  return { name, dtype: source.dtype, shape, byteLength: source.byteLength, offset: 0, source: file };
}
