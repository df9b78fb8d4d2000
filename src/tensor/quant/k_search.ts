/**
 * Writing K kinds: for each sub-block the scale (and minimum) of least weighted square error among those with which the
 * greatest element gets the greatest quant, or about one more or less; then both in few bits, and the quants again.
 *
 * @module
 */
import { f16Value } from "../float16.ts";
import { readU16, writeF16 } from "./kind.ts";

/** By how much the greatest quant of a candidate differs from the kind's, in tenths. */
const MINIMA_CANDIDATES = [-10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10];
/** The same for a scale alone. */
const SCALE_CANDIDATES = [-9, -7, -5, -3, -1, 0, 1, 3, 5, 7, 9];

const weights = new Float64Array(32);
const scales = new Float64Array(16);
const minima = new Float64Array(8);

/** Writes an F16, and gives what it became. */
function rounded(bytes: Uint8Array, at: number, value: number): number {
  writeF16(bytes, at, value);
  return f16Value(readU16(bytes, at));
}

function limit(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}

/** An integer, to the nearest; NaN and what is beyond 32 bits becomes one, too. */
function nearest(value: number): number {
  return Math.floor(value + 0.5) | 0;
}

/**
 * Fits `scale * q - minimum`, q in 0..top, to 32 elements: into `scales` and `minima` at `to`.
 *
 * An element weighs as much as it is large beside the root mean square, because it meets larger sums.
 */
function fitMinimum(x: Float32Array, e: number, top: number, to: number): void {
  let [low, high, square] = [x[e], x[e], 0];
  for (let i = 0; i < 32; i++) {
    const value = x[e + i];
    if (value < low) low = value;
    if (value > high) high = value;
    square += value * value;
  }
  if (low > 0) low = 0;
  scales[to] = 0;
  minima[to] = -low;
  if (!(high > low)) return;

  const mean = Math.sqrt(square / 32);
  let [w1, wx, wxx] = [0, 0, 0];
  for (let i = 0; i < 32; i++) {
    const value = x[e + i];
    const w = weights[i] = mean + Math.abs(value);
    w1 += w;
    wx += w * value;
    wxx += w * value * value;
  }
  let [least, shift] = [Infinity, low];
  const tryOut = (inverse: number): void => {
    let [wq, wqq, wxq] = [0, 0, 0];
    for (let i = 0; i < 32; i++) {
      const value = x[e + i];
      const q = limit((inverse * (value - shift) + 0.5) | 0, 0, top);
      const w = weights[i] * q;
      wq += w;
      wqq += w * q;
      wxq += w * value;
    }
    // The normal equations of x = scale * q + offset.
    const determinant = w1 * wqq - wq * wq;
    // It is zero where all quants are equal, as those of one number alone.
    const regular = determinant > 1e-9 * w1 * wqq;
    let scale = (w1 * wxq - wx * wq) / determinant;
    let offset = (wqq * wx - wq * wxq) / determinant;
    if (!regular || offset > 0) {
      offset = 0;
      scale = wxq / wqq;
    }
    const error = wxx + scale * (scale * wqq + 2 * offset * wq - 2 * wxq) + offset * (offset * w1 - 2 * wx);
    if (error < least) {
      least = error;
      scales[to] = scale;
      minima[to] = -offset;
    }
  };
  for (const tenths of MINIMA_CANDIDATES) tryOut((top + tenths / 10) / (high - low));
  if (!(scales[to] > 0)) return;
  // Once more from the best, whose minimum is no longer the least element.
  shift = -minima[to];
  tryOut(1 / scales[to]);
}

/** Writes Q4_K's or Q5_K's block. */
export function encodeWithMinima(
  bits: 4 | 5,
  x: Float32Array,
  e: number,
  bytes: Uint8Array,
  b: number,
): void {
  const top = 2 ** bits - 1;
  let [greatest, deepest] = [0, 0];
  for (let i = 0; i < 8; i++) {
    fitMinimum(x, e + 32 * i, top, i);
    greatest = Math.max(greatest, scales[i]);
    deepest = Math.max(deepest, minima[i]);
  }
  const d = rounded(bytes, b, greatest / 63);
  const least = rounded(bytes, b + 2, deepest / 63);
  bytes.fill(0, b + 4, b + (bits === 5 ? 48 : 16));
  const quants = b + (bits === 5 ? 48 : 16);
  for (let i = 0; i < 8; i++) {
    const scale = greatest > 0 ? limit(nearest(63 * scales[i] / greatest), 0, 63) : 0;
    const minimum = deepest > 0 ? limit(nearest(63 * minima[i] / deepest), 0, 63) : 0;
    writeSix(bytes, b + 4, i, scale, minimum);
    const [step, offset] = [d * scale, least * minimum];
    const inverse = step > 0 ? 1 / step : 0;
    const shift = 4 * (i & 1);
    for (let j = 0; j < 32; j++) {
      const q = limit(nearest((x[e + 32 * i + j] + offset) * inverse), 0, top);
      const at = quants + 32 * (i >> 1) + j;
      bytes[at] = shift === 0 ? q & 15 : bytes[at] | ((q & 15) << 4);
      if (q > 15) bytes[b + 16 + j] |= 1 << i;
    }
  }
}

/** Writes scale and minimum `i` of eight, as `readScales` reads them, over zeros. */
function writeSix(bytes: Uint8Array, at: number, i: number, scale: number, minimum: number): void {
  if (i < 4) {
    bytes[at + i] |= scale;
    bytes[at + 4 + i] |= minimum;
    return;
  }
  bytes[at + i - 4] |= (scale >> 4) << 6;
  bytes[at + i] |= (minimum >> 4) << 6;
  bytes[at + i + 4] = (scale & 15) | ((minimum & 15) << 4);
}

/** Fits `scale * q`, q in -32..31, to 16 elements, each weighed by its square. */
function fitScale(x: Float32Array, e: number): number {
  let peak = 0;
  for (let i = 0; i < 16; i++) if (Math.abs(x[e + i]) > Math.abs(peak)) peak = x[e + i];
  if (peak === 0) return 0;
  let [best, scale] = [0, 0];
  for (const tenths of SCALE_CANDIDATES) {
    const inverse = -(32 + tenths / 10) / peak;
    let [wxq, wqq] = [0, 0];
    for (let i = 0; i < 16; i++) {
      const value = x[e + i];
      const q = limit(nearest(inverse * value), -32, 31);
      const w = value * value * q;
      wxq += w * value;
      wqq += w * q;
    }
    // What the best scale for these quants takes off the error.
    if (wqq > 0 && wxq * wxq > best * wqq) {
      best = wxq * wxq / wqq;
      scale = wxq / wqq;
    }
  }
  return scale;
}

/** Writes Q6_K's block. */
export function encodeQ6K(x: Float32Array, e: number, bytes: Uint8Array, b: number): void {
  let greatest = 0;
  for (let i = 0; i < 16; i++) {
    scales[i] = fitScale(x, e + 16 * i);
    if (Math.abs(scales[i]) > Math.abs(greatest)) greatest = scales[i];
  }
  // The greatest scale becomes -128, which is one more than 127.
  const d = rounded(bytes, b + 208, greatest / -128);
  bytes.fill(0, b, b + 192);
  for (let i = 0; i < 16; i++) {
    const scale = greatest === 0 ? 0 : limit(nearest(-128 * scales[i] / greatest), -128, 127);
    bytes[b + 192 + i] = scale;
    const step = d * scale;
    const inverse = step === 0 ? 0 : 1 / step;
    for (let c = 16 * i; c < 16 * i + 16; c++) {
      const q = limit(nearest(x[e + c] * inverse), -32, 31) + 32;
      bytes[b + 64 * (c >> 7) + (c & 63)] |= (q & 15) << (4 * ((c >> 6) & 1));
      bytes[b + 128 + 32 * (c >> 7) + (c & 31)] |= (q >> 4) << (2 * ((c >> 5) & 3));
    }
  }
}
