/**
 * Kinds of four-bit codes that a table gives their integers, and Q8_1, whose codes are the integers.
 *
 * @module
 */
import { readF16, readU16 } from "./kind.ts";
import { bothSpans, type LevelKind } from "./levels.ts";

/** ggml's `kvalues_iq4nl`. */
const NON_LINEAR = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
);
/** Twice the values of E2M1 (OCP Microscaling Formats, 5.3.3). */
const E2M1 = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

/** `2 * half` elements at `e`: the low halves of `half` bytes, then their high ones. */
function codes(table: Int8Array, bytes: Uint8Array, b: number, half: number, to: Int8Array, e: number): void {
  for (let i = 0; i < half; i++) {
    to[e + i] = table[bytes[b + i] & 15];
    to[e + half + i] = table[bytes[b + i] >> 4];
  }
}

/** Half of an E8M0 scale, because the table of E2M1 is doubled. */
function halfE8M0(bits: number): number {
  return 2 ** (bits - 128);
}

/** Half of an unsigned E4M3 scale; 0x7f is NaN and ggml's 0. */
function halfUE4M3(bits: number): number {
  if (bits === 0x7f) return 0;
  const exponent = (bits >> 3) & 15;
  return exponent === 0 ? (bits & 7) * 2 ** -10 : (8 + (bits & 7)) * 2 ** (exponent - 11);
}

/** The kinds by dtype. */
export const FOUR_BIT_KINDS = {
  /** F16 scale, 16 bytes. */
  iq4_nl: {
    size: 32,
    bytes: 18,
    read(bytes, b, levels, scales) {
      bothSpans(scales, 0, readF16(bytes, b));
      codes(NON_LINEAR, bytes, b + 2, 16, levels, 0);
    },
  },
  /** F16 scale, the upper two bits of eight scales, their lower four, 8 x 16 bytes. */
  iq4_xs: {
    size: 256,
    bytes: 136,
    read(bytes, b, levels, scales) {
      const d = readF16(bytes, b);
      const high = readU16(bytes, b + 2);
      for (let i = 0; i < 8; i++) {
        const low = (bytes[b + 4 + (i >> 1)] >> (4 * (i & 1))) & 15;
        bothSpans(scales, i, d * ((low | ((high >> (2 * i)) & 3) << 4) - 32));
        codes(NON_LINEAR, bytes, b + 8 + 16 * i, 16, levels, 32 * i);
      }
    },
  },
  /** E8M0 scale, 16 bytes of E2M1. */
  mxfp4: {
    size: 32,
    bytes: 17,
    read(bytes, b, levels, scales) {
      bothSpans(scales, 0, halfE8M0(bytes[b]));
      codes(E2M1, bytes, b + 1, 16, levels, 0);
    },
  },
  /** Four scales in unsigned E4M3, 4 x 8 bytes of E2M1. */
  nvfp4: {
    size: 64,
    bytes: 36,
    read(bytes, b, levels, scales) {
      for (let i = 0; i < 4; i++) {
        scales[i] = halfUE4M3(bytes[b + i]);
        codes(E2M1, bytes, b + 4 + 8 * i, 8, levels, 16 * i);
      }
    },
  },
  /** F16 scale, the F16 sum that a product may use, 32 signed bytes. */
  q8_1: {
    size: 32,
    bytes: 36,
    read(bytes, b, levels, scales) {
      bothSpans(scales, 0, readF16(bytes, b));
      for (let i = 0; i < 32; i++) levels[i] = bytes[b + 4 + i];
    },
  },
} as const satisfies Record<string, LevelKind>;
