/**
 * Kinds of -1, 0 and 1, 256 to an F16 scale at the end of the block.
 *
 * @module
 */
import { readF16 } from "./kind.ts";
import type { LevelKind } from "./levels.ts";

/** Places of a byte in base 3, the first first. */
const POWERS = [1, 3, 9, 27, 81];

/** `width` bytes of `places` ternary digits: the first digits of all bytes, then the second ones … */
function digits(
  bytes: Uint8Array,
  b: number,
  width: number,
  places: number,
  to: Int8Array,
  e: number,
): void {
  for (let n = 0; n < places; n++) {
    for (let i = 0; i < width; i++) {
      // A byte is a fraction of 256 whose digits come out at the top.
      to[e + n * width + i] = ((((bytes[b + i] * POWERS[n]) & 0xff) * 3) >> 8) - 1;
    }
  }
}

/** The kinds by dtype. */
export const TERNARY_KINDS = {
  /** Five digits to a byte: 32 bytes, 16 bytes, then 4 of four digits. */
  tq1_0: {
    size: 256,
    bytes: 54,
    read(bytes, b, levels, scales) {
      scales.fill(readF16(bytes, b + 52));
      digits(bytes, b, 32, 5, levels, 0);
      digits(bytes, b + 32, 16, 5, levels, 160);
      digits(bytes, b + 48, 4, 4, levels, 240);
    },
  },
  /** Two bits each: twice 32 bytes, the lowest bits first. */
  tq2_0: {
    size: 256,
    bytes: 66,
    read(bytes, b, levels, scales) {
      scales.fill(readF16(bytes, b + 64));
      for (let i = 0; i < 256; i++) {
        const byte = bytes[b + 32 * (i >> 7) + (i & 31)];
        levels[i] = ((byte >> (2 * ((i >> 5) & 3))) & 3) - 1;
      }
    },
  },
} as const satisfies Record<string, LevelKind>;
