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

/** The largest quant: 64 products with numbers of a query fit in 32 bits, as these are rounded in `core/`. */
const TOP = 16383;

/** Blocks whose numbers are all below this are zero: the inverse of their scale would not be finite. */
const LEAST = 1e-30;

/** The greatest F32. */
const MOST = fround(3.4028234663852886e38);

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
 * The scale, F32, then 64 signed 16-bit quants. A block with a value that is not finite has the greatest scale and quants,
 * so that all of it is infinite when it is read, but a product of the scale with 0 is 0: a cache has blocks that no row sees.
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
    const inverse = most < LEAST ? 0 : fround(TOP / most);
    block.setFloat32(0, Number.isNaN(most) ? MOST : inverse === 0 ? 0 : most / TOP, true);
    for (let j = 0; j < BLOCK; j++) {
      const rounded = fround(fround(values[e + j] * inverse) + ROUNDER) - ROUNDER;
      block.setInt16(4 + 2 * j, Number.isNaN(most) ? TOP : rounded, true);
    }
  },
};
