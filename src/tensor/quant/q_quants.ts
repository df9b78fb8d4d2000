/**
 * The first kinds of ggml: blocks of 32 with an F16 scale, and quants of 8, 4 or 5 bits, written as ggml's reference code
 * writes them. Every step is rounded to F32 as in C, hence the many `Math.fround`.
 *
 * @module
 */
import { type BlockKind, readF16, writeF16 } from "./kind.ts";

const { fround } = Math;

/** Elements of a block. */
const BLOCK = 32;

/** C's `1.0f / d`, or 0 for a block of zeros. */
function inverse(d: number): number {
  return d === 0 ? 0 : fround(1 / d);
}

/** The value of largest magnitude, with its sign; the first of equals. */
function signedPeak(values: Float32Array, from: number): number {
  let peak = 0;
  let magnitude = 0;
  for (let i = from; i < from + BLOCK; i++) {
    const size = Math.abs(values[i]);
    if (size > magnitude) [magnitude, peak] = [size, values[i]];
  }
  return peak;
}

/** Smallest and largest value of a block. */
function range(values: Float32Array, from: number): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = from; i < from + BLOCK; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return [low, high];
}

/** C's `roundf`: half away from zero. */
function roundHalfAway(x: number): number {
  return x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5);
}

/** The kind of 8-bit quants: an F16 scale, then 32 signed bytes. */
export const q8_0: BlockKind = {
  size: BLOCK,
  bytes: 34,
  decode(bytes, b, out, e) {
    const d = readF16(bytes, b);
    for (let j = 0; j < BLOCK; j++) out[e + j] = d * ((bytes[b + 2 + j] << 24) >> 24);
  },
  encode(values, e, bytes, b) {
    const d = fround(Math.abs(signedPeak(values, e)) / 127);
    const id = inverse(d);
    writeF16(bytes, b, d);
    for (let j = 0; j < BLOCK; j++) bytes[b + 2 + j] = roundHalfAway(fround(values[e + j] * id));
  },
};

/**
 * The kinds of 4 or 5 bits: an F16 scale, an F16 minimum where there is one, the fifth bits as one 32-bit number, then
 * 16 bytes: element j in the low half of byte j, element j + 16 in the high half.
 *
 * Without a minimum a quant q stands for `d * (q - 2^(bits-1))`, with one for `d * q + m`.
 */
export function nibbles(bits: 4 | 5, hasMinimum: boolean): BlockKind {
  const highAt = hasMinimum ? 4 : 2;
  const lowAt = highAt + (bits === 5 ? 4 : 0);
  const top = 2 ** bits - 1;
  const middle = 2 ** (bits - 1);
  return {
    size: BLOCK,
    bytes: lowAt + 16,
    decode(bytes, b, out, e) {
      const d = readF16(bytes, b);
      const m = hasMinimum ? readF16(bytes, b + 2) : 0;
      const shift = hasMinimum ? 0 : middle;
      const h = b + highAt;
      const high = bits === 5
        ? bytes[h] | (bytes[h + 1] << 8) | (bytes[h + 2] << 16) | (bytes[h + 3] << 24)
        : 0;
      for (let j = 0; j < 16; j++) {
        const pair = bytes[b + lowAt + j];
        const q0 = ((pair & 15) | (((high >>> j) & 1) << 4)) - shift;
        const q1 = ((pair >>> 4) | (((high >>> (j + 16)) & 1) << 4)) - shift;
        // The product of an F16 and five bits is exact, so one rounding at the end is what C does in two steps.
        out[e + j] = hasMinimum ? d * q0 + m : d * q0;
        out[e + j + 16] = hasMinimum ? d * q1 + m : d * q1;
      }
    },
    encode(values, e, bytes, b) {
      const [low, highest] = hasMinimum ? range(values, e) : [0, 0];
      const d = hasMinimum ? fround(fround(highest - low) / top) : fround(signedPeak(values, e) / -middle);
      const id = inverse(d);
      const bias = hasMinimum ? 0.5 : middle + 0.5;
      writeF16(bytes, b, d);
      if (hasMinimum) writeF16(bytes, b + 2, low);
      let high = 0;
      for (let j = 0; j < 16; j++) {
        // `| 0` is the C cast: towards zero, and no infinity gets into the bits.
        const q0 = Math.min(top, fround(fround(fround(values[e + j] - low) * id) + bias) | 0);
        const q1 = Math.min(top, fround(fround(fround(values[e + j + 16] - low) * id) + bias) | 0);
        bytes[b + lowAt + j] = (q0 & 15) | (q1 << 4);
        high |= ((q0 >>> 4) & 1) << j | ((q1 >>> 4) & 1) << (j + 16);
      }
      if (bits === 5) { for (let k = 0; k < 4; k++) bytes[b + highAt + k] = high >>> (8 * k); }
    },
  };
}
