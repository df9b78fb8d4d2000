/**
 * A tensor on its way into a file.
 *
 * @module
 */
import type { DType } from "../tensor/dtype.ts";

/** About how many bytes of a tensor are in memory at once. */
export const PIECE_BYTES = 4 << 20;

/** A tensor to write: what it is, and its bytes a piece at a time. */
export interface TensorOut {
  /** Name in the file. */
  readonly name: string;
  /** Element type in the file. */
  readonly dtype: DType;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Bytes in all. */
  readonly byteLength: number;
  /** The bytes in order; a piece is only valid until the next one. */
  pieces(): AsyncIterable<Uint8Array>;
}

/** A tensor whose bytes are all there already. */
export function tensorOfBytes(
  name: string,
  dtype: DType,
  shape: readonly number[],
  bytes: Uint8Array,
): TensorOut {
  return {
    name,
    dtype,
    shape,
    byteLength: bytes.length,
    async *pieces() {
      yield await Promise.resolve(bytes);
    },
  };
}
