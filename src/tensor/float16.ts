/**
 * Half-precision numbers as bit patterns: F16 (IEEE 754 binary16) and BF16 (the upper half of an F32), to and from
 * F32, whole arrays at a time. Narrowing rounds to the nearest, ties to even; NaN stays NaN.
 *
 * @module
 */

import { ShapeError } from "../errors.ts";

/** F32 value of every F16 bit pattern; built on first use, because 256 KiB is not worth it for an F32 model. */
let f16Values: Float32Array<ArrayBuffer> | undefined;

function f16Table(): Float32Array<ArrayBuffer> {
  if (f16Values) return f16Values;
  const bits = new Uint32Array(65536);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0x1f) {
      // Infinity, or NaN with the quiet bit set: a signalling NaN may change on its way through a JS number.
      bits[half] = sign | 0x7f800000 | (mantissa === 0 ? 0 : 0x400000 | (mantissa << 13));
    } else if (exponent !== 0) {
      bits[half] = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else if (mantissa === 0) {
      bits[half] = sign;
    } else {
      // Subnormal: value = mantissa * 2^-24; move the leading one up to the place of the implicit bit.
      const shift = Math.clz32(mantissa) - 21;
      bits[half] = sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
    }
  }
  return f16Values = new Float32Array(bits.buffer);
}

/** Gives `out` where it is long enough, else a fresh array. */
function place<T extends { readonly length: number }>(out: T | undefined, length: number, make: () => T): T {
  if (out === undefined) return make();
  if (out.length < length) throw new ShapeError(`out holds ${out.length} elements and ${length} are needed`);
  return out;
}

/** The bits of F32 values, without a copy. */
function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Widens F16 bit patterns to F32, exactly; writes into `out` where it is given. */
export function f16ToF32(bits: Uint16Array, out?: Float32Array): Float32Array {
  const to = place(out, bits.length, () => new Float32Array(bits.length));
  const table = f16Table();
  for (let i = 0; i < bits.length; i++) to[i] = table[bits[i]];
  return to;
}

/** F32 value of one F16 bit pattern. */
export function f16Value(bits: number): number {
  return f16Table()[bits];
}

/** F16 bit pattern nearest to an F32 that is given by its bits. */
export function f16Bits(f32Bits: number): number {
  const sign = (f32Bits >>> 16) & 0x8000;
  const magnitude = f32Bits & 0x7fffffff;
  if (magnitude >= 0x38800000) {
    if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
    if (magnitude >= 0x47800000) return sign | 0x7c00;
    // Normal: rebias the exponent, round half to even; a carry out of the mantissa reaches infinity by itself.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal: multiples of 2^-24. Below half of the smallest one everything is zero.
  if (magnitude < 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const quotient = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (quotient + (rest > half || (rest === half && (quotient & 1) === 1) ? 1 : 0));
}

/** Narrows F32 to F16 bit patterns; writes into `out` where it is given. */
export function f32ToF16(values: Float32Array, out?: Uint16Array): Uint16Array {
  const to = place(out, values.length, () => new Uint16Array(values.length));
  const from = bitsOf(values);
  for (let i = 0; i < from.length; i++) to[i] = f16Bits(from[i]);
  return to;
}

/** Widens BF16 bit patterns to F32, exactly; writes into `out` where it is given. */
export function bf16ToF32(bits: Uint16Array, out?: Float32Array): Float32Array {
  const to = place(out, bits.length, () => new Float32Array(bits.length));
  const toBits = bitsOf(to);
  for (let i = 0; i < bits.length; i++) toBits[i] = bits[i] << 16;
  return to;
}

/** Narrows F32 to BF16 bit patterns, subnormals kept; writes into `out` where it is given. */
export function f32ToBf16(values: Float32Array, out?: Uint16Array): Uint16Array {
  const to = place(out, values.length, () => new Uint16Array(values.length));
  const from = bitsOf(values);
  for (let i = 0; i < from.length; i++) {
    const bits = from[i];
    to[i] = (bits & 0x7fffffff) > 0x7f800000
      ? (bits >>> 16) | 0x40
      : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
  return to;
}
