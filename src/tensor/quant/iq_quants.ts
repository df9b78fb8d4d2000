/**
 * The IQ kinds of one to three bits: codes of a book of points, with signs and scales of few bits. A block has 256
 * elements and an F16 scale.
 *
 * @module
 */
import { codeBook } from "./code_books.ts";
import { readF16, readI32, readU16 } from "./kind.ts";
import { bothSpans, type LevelKind } from "./levels.ts";

/** Signs in seven bits: the eighth makes their number even. */
function evenSigns(seven: number): number {
  let parity = seven ^ (seven >> 4);
  parity ^= parity >> 2;
  return seven | (((parity ^ (parity >> 1)) & 1) << 7);
}

/** Puts a point at `e`, negative where a bit of `signs` is set. */
function put(book: Int8Array, code: number, size: 4 | 8, signs: number, to: Int8Array, e: number): void {
  const from = code * size;
  for (let i = 0; i < size; i++) {
    const value = book[from + i];
    to[e + i] = (signs >> i) & 1 ? -value : value;
  }
}

/** Eight values at `e` of an IQ1 point: eighths, because `delta`, an eighth, is added to every one of -1, 0, 1. */
function putEighths(book: Int8Array, code: number, delta: 1 | -1, to: Int8Array, e: number): void {
  for (let i = 0; i < 8; i++) to[e + i] = 8 * book[8 * code + i] + delta;
}

function nibble(bytes: Uint8Array, at: number, index: number): number {
  return (bytes[at + (index >> 1)] >> (4 * (index & 1))) & 15;
}

/** The kinds by dtype. */
export const IQ_KINDS = {
  /** d, then for 32 elements four codes, and a word of four times seven signs and four bits of scale. */
  iq2_xxs: {
    size: 256,
    bytes: 66,
    read(bytes, b, levels, scales) {
      const book = codeBook("iq2_xxs");
      const d = readF16(bytes, b);
      for (let i = 0; i < 8; i++) {
        const at = b + 2 + 8 * i;
        const word = readI32(bytes, at + 4);
        bothSpans(scales, i, d * (0.5 + (word >>> 28)) * 0.25);
        for (let j = 0; j < 4; j++) {
          const signs = evenSigns((word >>> (7 * j)) & 127);
          put(book, bytes[at + j], 8, signs, levels, 32 * i + 8 * j);
        }
      }
    },
  },
  /** d, 32 words of a code in nine bits and seven signs, 16 scales of four bits. */
  iq2_xs: {
    size: 256,
    bytes: 74,
    read(bytes, b, levels, scales) {
      const book = codeBook("iq2_xs");
      const d = readF16(bytes, b);
      for (let i = 0; i < 16; i++) scales[i] = d * (0.5 + nibble(bytes, b + 66, i)) * 0.25;
      for (let i = 0; i < 32; i++) {
        const word = readU16(bytes, b + 2 + 2 * i);
        put(book, word & 511, 8, evenSigns(word >> 9), levels, 8 * i);
      }
    },
  },
  /** d, 32 codes, 32 bytes of signs, two more bits of each code, 16 scales of four bits. */
  iq2_s: {
    size: 256,
    bytes: 82,
    read(bytes, b, levels, scales) {
      const book = codeBook("iq2_s");
      const d = readF16(bytes, b);
      for (let i = 0; i < 16; i++) scales[i] = d * (0.5 + nibble(bytes, b + 74, i)) * 0.25;
      for (let i = 0; i < 32; i++) {
        const high = (bytes[b + 66 + (i >> 2)] >> (2 * (i & 3))) & 3;
        put(book, bytes[b + 2 + i] | (high << 8), 8, bytes[b + 34 + i], levels, 8 * i);
      }
    },
  },
  /** d, 64 codes of four elements, then for 32 elements a word of signs and scale as in IQ2_XXS. */
  iq3_xxs: {
    size: 256,
    bytes: 98,
    read(bytes, b, levels, scales) {
      const book = codeBook("iq3_xxs");
      const d = readF16(bytes, b);
      for (let i = 0; i < 8; i++) {
        const word = readI32(bytes, b + 66 + 4 * i);
        bothSpans(scales, i, d * (0.5 + (word >>> 28)) * 0.5);
        for (let j = 0; j < 8; j++) {
          const signs = evenSigns((word >>> (7 * (j >> 1))) & 127) >> (4 * (j & 1));
          put(book, bytes[b + 2 + 8 * i + j], 4, signs, levels, 32 * i + 4 * j);
        }
      }
    },
  },
  /** d, 64 codes, their ninth bits, 32 bytes of signs, eight scales of four bits. */
  iq3_s: {
    size: 256,
    bytes: 110,
    read(bytes, b, levels, scales) {
      const book = codeBook("iq3_s");
      const d = readF16(bytes, b);
      for (let i = 0; i < 8; i++) bothSpans(scales, i, d * (1 + 2 * nibble(bytes, b + 106, i)));
      for (let i = 0; i < 64; i++) {
        const ninth = (bytes[b + 66 + (i >> 3)] >> (i & 7)) & 1;
        const signs = bytes[b + 74 + (i >> 1)] >> (4 * (i & 1));
        put(book, bytes[b + 2 + i] | (ninth << 8), 4, signs, levels, 4 * i);
      }
    },
  },
  /** d, 32 codes, eight words of four times three more bits, three bits of scale and the sign of delta. */
  iq1_s: {
    size: 256,
    bytes: 50,
    read(bytes, b, levels, scales) {
      const book = codeBook("iq1");
      const d = readF16(bytes, b);
      for (let i = 0; i < 8; i++) {
        const word = readU16(bytes, b + 34 + 2 * i);
        bothSpans(scales, i, d * (2 * ((word >> 12) & 7) + 1) / 8);
        const delta = word & 0x8000 ? -1 : 1;
        for (let j = 0; j < 4; j++) {
          const code = bytes[b + 2 + 4 * i + j] | (((word >> (3 * j)) & 7) << 8);
          putEighths(book, code, delta, levels, 32 * i + 8 * j);
        }
      }
    },
  },
  /** 32 codes, for each three more bits and the sign of delta, four words of four times three bits of scale and a quarter of d. */
  iq1_m: {
    size: 256,
    bytes: 56,
    read(bytes, b, levels, scales) {
      const book = codeBook("iq1");
      const at = b + 48;
      // The upper halves of the words' upper bytes; read as the F16 that they are, two bytes at a time.
      quarters[0] = (bytes[at + 1] >> 4) | (bytes[at + 3] & 0xf0);
      quarters[1] = (bytes[at + 5] >> 4) | (bytes[at + 7] & 0xf0);
      const d = readF16(quarters, 0);
      for (let i = 0; i < 16; i++) {
        const word = readU16(bytes, at + 2 * (i >> 2));
        scales[i] = d * (2 * ((word >> (3 * (i & 3))) & 7) + 1) / 8;
      }
      for (let i = 0; i < 32; i++) {
        const more = nibble(bytes, b + 32, i);
        const delta = more & 8 ? -1 : 1;
        putEighths(book, bytes[b + i] | ((more & 7) << 8), delta, levels, 8 * i);
      }
    },
  },
} as const satisfies Record<string, LevelKind>;

const quarters = new Uint8Array(2);
