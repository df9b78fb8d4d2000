/**
 * How a dtype is stored, and what the kinds share.
 *
 * @module
 */
import { f16Bits, f16Value } from "../float16.ts";

/** How one dtype is stored; `count` elements at the start of `bytes` or of the arrays. */
export interface Kind {
  /** Reads `count` elements from `bytes` into `out`. */
  decode(bytes: Uint8Array, out: Float32Array, count: number): void;
  /** Writes all `values` to `bytes`; absent where a kind can only be read. */
  encode?(values: Float32Array, bytes: Uint8Array): void;
}

/** A kind by what happens to the block at byte `b` and element `e`. */
export interface BlockKind {
  /** Elements of a block. */
  readonly size: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Reads a block. */
  decode(bytes: Uint8Array, b: number, out: Float32Array, e: number): void;
  /** Writes a block. */
  encode?(values: Float32Array, e: number, bytes: Uint8Array, b: number): void;
}

/** The loop over whole blocks. */
export function blocks({ size, bytes: length, decode, encode }: BlockKind): Kind {
  return {
    decode(bytes, out, count) {
      for (let e = 0, b = 0; e < count; e += size, b += length) decode(bytes, b, out, e);
    },
    ...(encode && {
      encode(values: Float32Array, bytes: Uint8Array) {
        for (let e = 0, b = 0; e < values.length; e += size, b += length) encode(values, e, bytes, b);
      },
    }),
  };
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** The F16 at a byte. */
export function readF16(bytes: Uint8Array, at: number): number {
  return f16Value(bytes[at] | (bytes[at + 1] << 8));
}

/** Writes the F16 nearest to an F32. */
export function writeF16(bytes: Uint8Array, at: number, value: number): void {
  scratch[0] = value;
  const bits = f16Bits(scratchBits[0]);
  bytes[at] = bits;
  bytes[at + 1] = bits >>> 8;
}

/** The U16 at a byte. */
export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

/** The 32 bits at a byte, signed. */
export function readI32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}
