/**
 * The kind of KV caches: 64 integers of 16 bits with one F32 scale, so that sums of products of 16-bit integers make the
 * scores of attention. Every step is rounded to F32, as in the core.
 *
 * @module
 */
import type { BlockKind } from "./kind.ts";

const { abs, fround } = Math;

/** Elements of a block. */
const BLOCK = 64;

/** The largest quant: a sum of eight products of two such numbers fits in 32 bits. */
const TOP = 16383;

/** 1.5 · 2^23: an F32 of this size has no fraction, so that adding it rounds to whole numbers, half to even. */
const ROUNDER = 12582912;

/** The greatest magnitude of a block; NaN where a value is not finite. */
function greatest(values: Float32Array, from: number): number {
  let most = 0;
  for (let i = from; i < from + BLOCK; i++) {
    if (!Number.isFinite(values[i])) return NaN;
    most = Math.max(most, abs(values[i]));
  }
  return most;
}

/**
 * The scale, F32, then 64 signed 16-bit quants. A block with a value that is not finite has scale NaN, so that all of it
 * is NaN when it is read; one whose values are so small that the inverse of its scale overflows is zero.
 */
export const q16: BlockKind = {
  size: BLOCK,
  bytes: 4 + 2 * BLOCK,
  decode(bytes, b, out, e) {
    const block = new DataView(bytes.buffer, bytes.byteOffset + b, q16.bytes);
    const scale = block.getFloat32(0, true);
    for (let j = 0; j < BLOCK; j++) out[e + j] = block.getInt16(4 + 2 * j, true) * scale;
  },
  encode(values, e, bytes, b) {
    const block = new DataView(bytes.buffer, bytes.byteOffset + b, q16.bytes);
    const most = greatest(values, e);
    const inverse = fround(TOP / most);
    block.setFloat32(0, inverse === Infinity ? 0 : most / TOP, true);
    for (let j = 0; j < BLOCK; j++) {
      const rounded = fround(fround(values[e + j] * inverse) + ROUNDER) - ROUNDER;
      block.setInt16(4 + 2 * j, Number.isFinite(inverse) ? rounded : 0, true);
    }
  },
};
