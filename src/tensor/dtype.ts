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

/**
 * The dtype table. Block layouts are those of GGUF (little endian), but for that of Q16, which is for KV caches alone; see
 * `quant/`.
 */
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
  f64: { code: 11, blockSize: 1, blockBytes: 8 },
  i16: { code: 12, blockSize: 1, blockBytes: 2 },
  i64: { code: 13, blockSize: 1, blockBytes: 8 },
  q8_1: { code: 14, blockSize: 32, blockBytes: 36 },
  q2_k: { code: 15, blockSize: 256, blockBytes: 84 },
  q3_k: { code: 16, blockSize: 256, blockBytes: 110 },
  q4_k: { code: 17, blockSize: 256, blockBytes: 144 },
  q5_k: { code: 18, blockSize: 256, blockBytes: 176 },
  q6_k: { code: 19, blockSize: 256, blockBytes: 210 },
  iq4_nl: { code: 20, blockSize: 32, blockBytes: 18 },
  iq4_xs: { code: 21, blockSize: 256, blockBytes: 136 },
  iq1_s: { code: 22, blockSize: 256, blockBytes: 50 },
  iq1_m: { code: 23, blockSize: 256, blockBytes: 56 },
  iq2_xxs: { code: 24, blockSize: 256, blockBytes: 66 },
  iq2_xs: { code: 25, blockSize: 256, blockBytes: 74 },
  iq2_s: { code: 26, blockSize: 256, blockBytes: 82 },
  iq3_xxs: { code: 27, blockSize: 256, blockBytes: 98 },
  iq3_s: { code: 28, blockSize: 256, blockBytes: 110 },
  tq1_0: { code: 29, blockSize: 256, blockBytes: 54 },
  tq2_0: { code: 30, blockSize: 256, blockBytes: 66 },
  mxfp4: { code: 31, blockSize: 32, blockBytes: 17 },
  nvfp4: { code: 32, blockSize: 64, blockBytes: 36 },
  q16: { code: 33, blockSize: 64, blockBytes: 132 },
} as const satisfies Record<string, DTypeInfo>;

/** Name of an element type. */
export type DType = keyof typeof DTYPES;

/** All dtype names, in order of their code. */
export const DTYPE_NAMES: readonly DType[] = Object.keys(DTYPES) as DType[];

/** Dtypes that only a KV cache may have: no file and no weight does. */
const CACHE_ONLY: readonly DType[] = ["q16"];

/** The dtypes that a weight, and so a tensor in a file, may have, in order of their code. */
export const WEIGHT_DTYPES: readonly DType[] = DTYPE_NAMES.filter((dtype) => !CACHE_ONLY.includes(dtype));

/** Whether the dtype stores elements in quantized blocks. */
export function isQuantized(dtype: DType): boolean {
  return DTYPES[dtype].blockSize > 1;
}

/** `elements` rounded up to whole blocks of the dtype. */
export function wholeBlocks(dtype: DType, elements: number): number {
  const { blockSize } = DTYPES[dtype];
  return Math.ceil(elements / blockSize) * blockSize;
}

/**
 * Bytes that `elements` elements take. For a block type `elements` must be a whole number of blocks; the caller
 * checks that (see `Shape` rules).
 */
export function byteLength(dtype: DType, elements: number): number {
  const { blockSize, blockBytes } = DTYPES[dtype];
  return Math.ceil(elements / blockSize) * blockBytes;
}
