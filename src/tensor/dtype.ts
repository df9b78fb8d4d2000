/**
 * The element types of tensors and weights, as data: code in files and Programs, block length and bytes.
 *
 * @module
 */

/** One row of the dtype table. */
interface DTypeInfo {
  /** Number in encoded Programs and in the own file format; never reused. */
  readonly code: number;
  /** Elements in a block; 1 for plain types. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
}

/** The dtype table. Block layouts are those of GGUF (little endian): F16 scale first, then minimum, then quants. */
export const DTYPES = {
  f32: { code: 0, blockSize: 1, blockBytes: 4 },
  f16: { code: 1, blockSize: 1, blockBytes: 2 },
  bf16: { code: 2, blockSize: 1, blockBytes: 2 },
  i8: { code: 3, blockSize: 1, blockBytes: 1 },
  u8: { code: 4, blockSize: 1, blockBytes: 1 },
  i32: { code: 5, blockSize: 1, blockBytes: 4 },
  q8_0: { code: 6, blockSize: 32, blockBytes: 34 },
  q4_0: { code: 7, blockSize: 32, blockBytes: 18 },
  q4_1: { code: 8, blockSize: 32, blockBytes: 20 },
  q5_0: { code: 9, blockSize: 32, blockBytes: 22 },
  q5_1: { code: 10, blockSize: 32, blockBytes: 24 },
} as const satisfies Record<string, DTypeInfo>;

/** Name of an element type. */
export type DType = keyof typeof DTYPES;

/** All dtype names, in order of their code. */
export const DTYPE_NAMES: readonly DType[] = Object.keys(DTYPES) as DType[];

/** Whether the dtype stores elements in quantized blocks. */
export function isQuantized(dtype: DType): boolean {
  return DTYPES[dtype].blockSize > 1;
}

/**
 * Bytes that `elements` elements take. For a block type `elements` must be a whole number of blocks; the caller
 * checks that (see `Shape` rules).
 */
export function byteLength(dtype: DType, elements: number): number {
  const { blockSize, blockBytes } = DTYPES[dtype];
  return Math.ceil(elements / blockSize) * blockBytes;
}
