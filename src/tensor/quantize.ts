/**
 * Weights between their stored dtype and F32 on the host: {@linkcode dequantize} gives bit for bit what ggml's reference
 * code gives, and so does {@linkcode quantize} but for the K kinds, whose scales are searched for. Q16, for caches, is not
 * ggml's.
 *
 * @module
 */

import { DTypeError, ShapeError } from "../errors.ts";
import { byteLength, type DType, DTYPES, WEIGHT_DTYPES } from "./dtype.ts";
import { FOUR_BIT_KINDS } from "./quant/four_bit.ts";
import { IQ_KINDS } from "./quant/iq_quants.ts";
import { K_LEVEL_KINDS, q2_k, q4_k, q5_k } from "./quant/k_quants.ts";
import { encodeQ6K, encodeWithMinima } from "./quant/k_search.ts";
import { blocks, type Kind } from "./quant/kind.ts";
import { levelBlock, type LevelKind } from "./quant/levels.ts";
import { PLAIN_KINDS } from "./quant/plain.ts";
import { q16 } from "./quant/q16.ts";
import { nibbles, q8_0 } from "./quant/q_quants.ts";
import { TERNARY_KINDS } from "./quant/ternary.ts";
import { levelsToQ4, levelsToQ8, minimaToF16 } from "./quant/transcode.ts";

/** Kinds of small integers. */
const LEVEL_KINDS: Partial<Record<DType, LevelKind>> = {
  ...FOUR_BIT_KINDS,
  ...TERNARY_KINDS,
  ...IQ_KINDS,
  ...K_LEVEL_KINDS,
};

/** Every kind, by dtype. */
const KINDS: Record<DType, Kind> = {
  ...PLAIN_KINDS,
  q8_0: blocks(q8_0),
  q4_0: blocks(nibbles(4, false)),
  q4_1: blocks(nibbles(4, true)),
  q5_0: blocks(nibbles(5, false)),
  q5_1: blocks(nibbles(5, true)),
  q2_k: blocks(q2_k),
  q4_k: blocks({ ...q4_k, encode: (x, e, bytes, b) => encodeWithMinima(4, x, e, bytes, b) }),
  q5_k: blocks({ ...q5_k, encode: (x, e, bytes, b) => encodeWithMinima(5, x, e, bytes, b) }),
  ...mapKinds(FOUR_BIT_KINDS),
  ...mapKinds(TERNARY_KINDS),
  ...mapKinds(IQ_KINDS),
  ...mapKinds(K_LEVEL_KINDS),
  q6_k: blocks({ ...levelBlock(K_LEVEL_KINDS.q6_k), encode: encodeQ6K }),
  q16: blocks(q16),
};

function mapKinds<Name extends string>(kinds: Record<Name, LevelKind>): Record<Name, Kind> {
  const entries = Object.entries<LevelKind>(kinds);
  return Object.fromEntries(entries.map(([name, kind]) => [name, blocks(levelBlock(kind))])) as Record<
    Name,
    Kind
  >;
}

/** The dtypes of weights that {@linkcode quantize} writes. */
export const WRITABLE: readonly DType[] = WEIGHT_DTYPES.filter((dtype) => KINDS[dtype].encode);

/** Throws unless `count` elements are whole blocks. */
function checkBlocks(dtype: DType, count: number): void {
  const { blockSize } = DTYPES[dtype];
  if (count % blockSize !== 0) {
    throw new ShapeError(
      `${count} elements are not whole blocks of ${dtype}; pass a multiple of ${blockSize}`,
    );
  }
}

/**
 * Fills `out` with the F32 values of the elements at the start of `bytes`; as many as `out` holds.
 *
 * Throws a {@linkcode ShapeError} where that is not a whole number of blocks or `bytes` is too short.
 */
export function dequantize(dtype: DType, bytes: Uint8Array, out: Float32Array): Float32Array {
  checkBlocks(dtype, out.length);
  const needed = byteLength(dtype, out.length);
  if (bytes.length < needed) {
    throw new ShapeError(
      `${out.length} elements of ${dtype} take ${needed} bytes and ${bytes.length} are given`,
    );
  }
  KINDS[dtype].decode(bytes, out, out.length);
  return out;
}

/**
 * The bytes of `values` in `dtype`, block after block.
 *
 * Throws a {@linkcode ShapeError} where the length is not a whole number of blocks, and a {@linkcode DTypeError} for a
 * dtype that can only be read.
 */
export function quantize(dtype: DType, values: Float32Array): Uint8Array<ArrayBuffer> {
  const { encode } = KINDS[dtype];
  if (!encode) {
    throw new DTypeError(`cannot quantize to ${dtype}; what can be written is ${WRITABLE.join(", ")}`);
  }
  checkBlocks(dtype, values.length);
  const bytes = new Uint8Array(byteLength(dtype, values.length));
  encode(values, bytes);
  return bytes;
}

/**
 * Whole blocks of one dtype as another: what stands for the same values exactly where `quant/transcode.ts` has a way,
 * else the values quantized again.
 *
 * Throws as {@linkcode dequantize} and {@linkcode quantize} do.
 */
export function transcode(from: DType, to: DType, bytes: Uint8Array): Uint8Array {
  if (from === to) return bytes;
  const count = bytes.length / DTYPES[from].blockBytes * DTYPES[from].blockSize;
  const kind = LEVEL_KINDS[from];
  const out = (): Uint8Array<ArrayBuffer> => {
    checkBlocks(to, count);
    return new Uint8Array(byteLength(to, count));
  };
  if (kind && to === "q8_0") return filled(out(), (into) => levelsToQ8(kind, bytes, into));
  if (from in TERNARY_KINDS && kind && to === "q4_0") {
    return filled(out(), (into) => levelsToQ4(kind, bytes, into));
  }
  if ((from === "q4_k" && to === "q4_1") || (from === "q5_k" && to === "q5_1")) {
    return filled(out(), (into) => minimaToF16(from, bytes, into));
  }
  return quantize(to, dequantize(from, bytes, new Float32Array(count)));
}

function filled(bytes: Uint8Array, fill: (bytes: Uint8Array) => void): Uint8Array {
  fill(bytes);
  return bytes;
}
