/**
 * Weights between their stored dtype and F32 on the host: {@linkcode dequantize} and {@linkcode quantize}, bit for bit
 * what ggml's reference code gives. Every step is rounded to F32 as in C, hence the many `Math.fround`.
 *
 * @module
 */

import { DTypeError, ShapeError } from "../errors.ts";
import { byteLength, type DType, DTYPES } from "./dtype.ts";
import { bf16ToF32, f16Bits, f16ToF32, f16Value, f32ToBf16, f32ToF16 } from "./float16.ts";

const { fround } = Math;

/** Elements of a block, the same in every kind here. */
const BLOCK = 32;

/** How one dtype is stored; `count` elements at the start of `bytes` or of the arrays. */
interface Kind {
  /** Reads `count` elements from `bytes` into `out`. */
  decode(bytes: Uint8Array, out: Float32Array, count: number): void;
  /** Writes all `values` to `bytes`. */
  encode(values: Float32Array, bytes: Uint8Array): void;
}

/** A block kind, described by what happens to the block at byte `b` and element `e`. */
interface BlockKind {
  decode(bytes: Uint8Array, b: number, out: Float32Array, e: number): void;
  encode(values: Float32Array, e: number, bytes: Uint8Array, b: number): void;
}

const f32Scratch = new Float32Array(1);
const f32ScratchBits = new Uint32Array(f32Scratch.buffer);

function readF16(bytes: Uint8Array, at: number): number {
  return f16Value(bytes[at] | (bytes[at + 1] << 8));
}

function writeF16(bytes: Uint8Array, at: number, value: number): void {
  f32Scratch[0] = value;
  const bits = f16Bits(f32ScratchBits[0]);
  bytes[at] = bits;
  bytes[at + 1] = bits >>> 8;
}

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
const q8: BlockKind = {
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
function nibbles(bits: 4 | 5, hasMinimum: boolean): BlockKind {
  const highAt = hasMinimum ? 4 : 2;
  const lowAt = highAt + (bits === 5 ? 4 : 0);
  const top = 2 ** bits - 1;
  const middle = 2 ** (bits - 1);
  return {
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

/** A kind from its block: the loop over whole blocks. */
function blocks(dtype: DType, block: BlockKind): Kind {
  const { blockBytes } = DTYPES[dtype];
  return {
    decode(bytes, out, count) {
      for (let e = 0, b = 0; e < count; e += BLOCK, b += blockBytes) block.decode(bytes, b, out, e);
    },
    encode(values, bytes) {
      for (let e = 0, b = 0; e < values.length; e += BLOCK, b += blockBytes) {
        block.encode(values, e, bytes, b);
      }
    },
  };
}

/** A 16-bit view of the bytes; a copy where they start at an odd address. */
function halves(bytes: Uint8Array, count: number): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes.subarray(0, 2 * count));
  return new Uint16Array(aligned.buffer, aligned.byteOffset, count);
}

/** A kind of plain 16-bit elements. */
function plain(
  widen: (bits: Uint16Array, out?: Float32Array) => Float32Array,
  narrow: (values: Float32Array, out?: Uint16Array) => Uint16Array,
): Kind {
  return {
    decode: (bytes, out, count) => void widen(halves(bytes, count), out),
    encode: (values, bytes) =>
      void narrow(values, new Uint16Array(bytes.buffer, bytes.byteOffset, values.length)),
  };
}

const f32: Kind = {
  decode(bytes, out, count) {
    new Uint8Array(out.buffer, out.byteOffset, 4 * count).set(bytes.subarray(0, 4 * count));
  },
  encode(values, bytes) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  },
};

/** The kinds that have real values; the integer dtypes have none. */
const KINDS: Partial<Record<DType, Kind>> = {
  f32,
  f16: plain(f16ToF32, f32ToF16),
  bf16: plain(bf16ToF32, f32ToBf16),
  q8_0: blocks("q8_0", q8),
  q4_0: blocks("q4_0", nibbles(4, false)),
  q4_1: blocks("q4_1", nibbles(4, true)),
  q5_0: blocks("q5_0", nibbles(5, false)),
  q5_1: blocks("q5_1", nibbles(5, true)),
};

function kindOf(dtype: DType, what: string): Kind {
  const kind = KINDS[dtype];
  if (!kind) {
    throw new DTypeError(
      `cannot ${what} ${dtype}; the dtypes with a conversion are ${Object.keys(KINDS).join(", ")}`,
    );
  }
  return kind;
}

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
 * Throws a {@linkcode ShapeError} where that is not a whole number of blocks or `bytes` is too short, and a
 * {@linkcode DTypeError} for an integer dtype.
 */
export function dequantize(dtype: DType, bytes: Uint8Array, out: Float32Array): Float32Array {
  const kind = kindOf(dtype, "dequantize");
  checkBlocks(dtype, out.length);
  const needed = byteLength(dtype, out.length);
  if (bytes.length < needed) {
    throw new ShapeError(
      `${out.length} elements of ${dtype} take ${needed} bytes and ${bytes.length} are given`,
    );
  }
  kind.decode(bytes, out, out.length);
  return out;
}

/**
 * The bytes of `values` in `dtype`, block after block.
 *
 * Throws a {@linkcode ShapeError} where the length is not a whole number of blocks, and a {@linkcode DTypeError} for an
 * integer dtype.
 */
export function quantize(dtype: DType, values: Float32Array): Uint8Array<ArrayBuffer> {
  const kind = kindOf(dtype, "quantize to");
  checkBlocks(dtype, values.length);
  const bytes = new Uint8Array(byteLength(dtype, values.length));
  kind.encode(values, bytes);
  return bytes;
}
