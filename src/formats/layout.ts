/**
 * The checks that all formats share: what a file says about its tensors must fit the file, before anything believes it.
 *
 * @module
 */

import { type FilePlace, InvalidFileError } from "../errors.ts";
import { byteLength, type DType, DTYPES } from "../tensor/dtype.ts";
import type { TensorInfo } from "./model_file.ts";

/** Most dimensions that a tensor may have. */
export const MAX_DIMENSIONS = 8;

/** Elements of a tensor. Throws where a dimension is not a positive integer or the product is beyond all files. */
export function elementCount(shape: readonly unknown[], place: FilePlace): number {
  if (shape.length > MAX_DIMENSIONS) {
    throw new InvalidFileError(
      `${shape.length} dimensions are more than ${MAX_DIMENSIONS}; the file is damaged`,
      place,
    );
  }
  let count = 1;
  for (const dim of shape) {
    if (typeof dim !== "number" || !Number.isSafeInteger(dim) || dim <= 0) {
      throw new InvalidFileError(
        `the dimension ${JSON.stringify(dim) ?? dim} is not a positive integer`,
        place,
      );
    }
    count *= dim;
    if (!Number.isSafeInteger(count)) {
      throw new InvalidFileError(
        `the shape [${shape.join(", ")}] has more elements than any file holds`,
        place,
      );
    }
  }
  return count;
}

/** Bytes of a tensor. Throws where a row is not a whole number of blocks, as quantized rows must be. */
export function tensorBytes(dtype: DType, shape: readonly number[], place: FilePlace): number {
  const count = elementCount(shape, place);
  const { blockSize } = DTYPES[dtype];
  const row = shape.at(-1) ?? 1;
  if (row % blockSize !== 0) {
    throw new InvalidFileError(
      `rows of ${row} elements are not whole blocks of ${dtype} (${blockSize})`,
      place,
    );
  }
  return byteLength(dtype, count);
}

/** Throws where two tensors of one file overlap, or one reaches beyond the end of the file. */
export function checkLayout(
  tensors: Iterable<Pick<TensorInfo, "name" | "offset" | "byteLength">>,
  file: string,
  size: number,
): void {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset);
  let previous: { name: string; end: number } | undefined;
  for (const { name, offset, byteLength } of sorted) {
    const place = { file, tensor: name, offset };
    const end = offset + byteLength;
    if (end > size) {
      throw new InvalidFileError(
        `the tensor ends at byte ${end} and the file at ${size}; the file is truncated, fetch it again`,
        place,
      );
    }
    if (previous && offset < previous.end) {
      throw new InvalidFileError(
        `the tensor overlaps ${JSON.stringify(previous.name)}; the file is damaged`,
        place,
      );
    }
    previous = { name, end };
  }
}
