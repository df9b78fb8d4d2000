/**
 * The K kinds: super-blocks of 256 elements, an F16 scale (and minimum), and scales of few bits for each 16 or 32.
 *
 * @module
 */
import type { BlockKind } from "./kind.ts";
import { readF16 } from "./kind.ts";
import type { LevelKind } from "./levels.ts";

/** Elements of a super-block. */
export const SUPER = 256;

/** Scales (0..7) and minima (8..15) of a Q4_K or Q5_K block, six bits each in 12 bytes. */
export function readScales(bytes: Uint8Array, at: number, to: Uint8Array): void {
  for (let i = 0; i < 4; i++) {
    const [low, high, rest] = [bytes[at + i], bytes[at + 4 + i], bytes[at + 8 + i]];
    to[i] = low & 63;
    to[8 + i] = high & 63;
    to[4 + i] = (rest & 15) | ((low >> 6) << 4);
    to[12 + i] = (rest >> 4) | ((high >> 6) << 4);
  }
}

const six = new Uint8Array(16);

/** Q4_K and Q5_K: d, dmin, 12 bytes of scales, the fifth bits, then 128 bytes: of each 32 the low halves and the high ones. */
function withMinima(bits: 4 | 5): Omit<BlockKind, "encode"> {
  const quants = bits === 5 ? 48 : 16;
  return {
    size: SUPER,
    bytes: quants + 128,
    decode(bytes, b, out, e) {
      const d = readF16(bytes, b);
      const least = readF16(bytes, b + 2);
      readScales(bytes, b + 4, six);
      for (let i = 0; i < 8; i++) {
        const scale = d * six[i];
        const minimum = least * six[8 + i];
        const at = b + quants + 32 * (i >> 1);
        const shift = 4 * (i & 1);
        for (let j = 0; j < 32; j++) {
          const fifth = bits === 5 ? (bytes[b + 16 + j] >> i) & 1 : 0;
          // All exact in F64: 11 bits of d, 6 of the scale, 5 of the quant.
          out[e + 32 * i + j] = scale * (((bytes[at + j] >> shift) & 15) | (fifth << 4)) - minimum;
        }
      }
    },
  };
}

/** Q4_K's block. */
export const q4_k = withMinima(4);
/** Q5_K's block. */
export const q5_k = withMinima(5);

/** Q2_K's block: 16 bytes of scale and minimum, four bits each, 64 bytes of quants, d, dmin. */
export const q2_k: BlockKind = {
  size: SUPER,
  bytes: 84,
  decode(bytes, b, out, e) {
    const d = readF16(bytes, b + 80);
    const least = readF16(bytes, b + 82);
    for (let i = 0; i < SUPER; i++) {
      const pair = bytes[b + (i >> 4)];
      const quant = (bytes[b + 16 + 32 * (i >> 7) + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3;
      out[e + i] = d * (pair & 15) * quant - least * (pair >> 4);
    }
  },
};

/** The K kinds without minima. */
export const K_LEVEL_KINDS = {
  /** The upper bits, 64 bytes of the lower two, 12 bytes of scales of six bits, d. */
  q3_k: {
    size: SUPER,
    bytes: 110,
    read(bytes, b, levels, scales) {
      const d = readF16(bytes, b + 108);
      for (let i = 0; i < 16; i++) {
        const low = (bytes[b + 96 + (i & 7)] >> (4 * (i >> 3))) & 15;
        const high = (bytes[b + 104 + (i & 3)] >> (2 * (i >> 2))) & 3;
        scales[i] = d * ((low | (high << 4)) - 32);
      }
      for (let i = 0; i < SUPER; i++) {
        const low = (bytes[b + 32 + 32 * (i >> 7) + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3;
        levels[i] = low - ((bytes[b + (i & 31)] >> (i >> 5)) & 1 ? 0 : 4);
      }
    },
  },
  /** Per 128: 64 bytes of lower halves; then per 128 32 bytes of the upper two bits; 16 signed scales; d. */
  q6_k: {
    size: SUPER,
    bytes: 210,
    read(bytes, b, levels, scales) {
      const d = readF16(bytes, b + 208);
      for (let i = 0; i < 16; i++) scales[i] = d * ((bytes[b + 192 + i] << 24) >> 24);
      for (let i = 0; i < SUPER; i++) {
        const low = (bytes[b + 64 * (i >> 7) + (i & 63)] >> (4 * ((i >> 6) & 1))) & 15;
        const high = (bytes[b + 128 + 32 * (i >> 7) + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3;
        levels[i] = (low | (high << 4)) - 32;
      }
    },
  },
} as const satisfies Record<string, LevelKind>;
