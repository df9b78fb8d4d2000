/**
 * Quantized weights in another block kind, for backends that have no kernel for their own: quants as they are and scales in
 * F16 where the kinds allow it, else the nearest values.
 *
 * @module
 */
import type { DType } from "../dtype.ts";
import { f16Bits, f16Value } from "../float16.ts";
import { readF16, writeF16 } from "./kind.ts";
import { readScales, SUPER } from "./k_quants.ts";
import type { LevelKind } from "./levels.ts";
import { q8_0 } from "./q_quants.ts";

const levels = new Int8Array(SUPER);
const scales = new Float32Array(SUPER / 16);
const values = new Float32Array(32);
const bitsOfScale = new Uint32Array(scales.buffer);

/** Whether the scale of a span is a normal F16, or zero, once it is rounded. */
function fitsF16(span: number): boolean {
  const size = Math.abs(f16Value(f16Bits(bitsOfScale[span])));
  return scales[span] === 0 || (size >= 2 ** -14 && size < Infinity);
}

/** Small integers as Q8_0. Where 32 elements have two scales, they become the nearest values. */
export function levelsToQ8(kind: LevelKind, bytes: Uint8Array, out: Uint8Array): void {
  for (let from = 0, to = 0; from < bytes.length; from += kind.bytes) {
    kind.read(bytes, from, levels, scales);
    for (let e = 0; e < kind.size; e += 32, to += q8_0.bytes) {
      const span = e / 16;
      if (scales[span] === scales[span + 1] && fitsF16(span)) {
        writeF16(out, to, scales[span]);
        for (let i = 0; i < 32; i++) out[to + 2 + i] = levels[e + i];
      } else {
        for (let i = 0; i < 32; i++) values[i] = scales[span + (i >> 4)] * levels[e + i];
        q8_0.encode?.(values, 0, out, to);
      }
    }
  }
}

/** Integers of -8..7, with one scale for 32, as Q4_0. */
export function levelsToQ4(kind: LevelKind, bytes: Uint8Array, out: Uint8Array): void {
  for (let from = 0, to = 0; from < bytes.length; from += kind.bytes) {
    kind.read(bytes, from, levels, scales);
    for (let e = 0; e < kind.size; e += 32, to += 18) {
      writeF16(out, to, scales[e / 16]);
      for (let i = 0; i < 16; i++) {
        out[to + 2 + i] = (levels[e + i] + 8) | ((levels[e + 16 + i] + 8) << 4);
      }
    }
  }
}

const six = new Uint8Array(16);

/** Q4_K as Q4_1, or Q5_K as Q5_1. */
export function minimaToF16(dtype: "q4_k" | "q5_k", bytes: Uint8Array, out: Uint8Array): void {
  const [superBytes, high, block] = dtype === "q4_k" ? [144, 0, 20] : [176, 32, 24];
  for (let from = 0, to = 0; from < bytes.length; from += superBytes) {
    const [d, least] = [readF16(bytes, from), readF16(bytes, from + 2)];
    readScales(bytes, from + 4, six);
    for (let i = 0; i < 8; i++, to += block) {
      writeF16(out, to, d * six[i]);
      writeF16(out, to + 2, -least * six[8 + i]);
      const at = from + 16 + high + 32 * (i >> 1);
      const shift = 4 * (i & 1);
      for (let j = 0; j < 16; j++) {
        const [low, up] = [bytes[at + j] >> shift, bytes[at + 16 + j] >> shift];
        out[to + block - 16 + j] = (low & 15) | ((up & 15) << 4);
      }
      if (high === 0) continue;
      for (let j = 0; j < 32; j++) {
        out[to + 4 + (j >> 3)] |= ((bytes[from + 16 + j] >> i) & 1) << (j & 7);
      }
    }
  }
}

/** Integer and F64 dtypes, which are multiplied as F32 everywhere. */
const AS_F32 = { f64: "f32", i8: "f32", u8: "f32", i16: "f32", i32: "f32", i64: "f32" } as const;

/** What a weight becomes that has no kernel of its own: all its quants are the same but where scales are for 16 columns. */
export const TRANSCODED: Readonly<Partial<Record<DType, DType>>> = {
  ...AS_F32,
  tq1_0: "q4_0",
  tq2_0: "q4_0",
  q8_1: "q8_0",
  iq4_nl: "q8_0",
  iq4_xs: "q8_0",
  iq3_xxs: "q8_0",
  iq3_s: "q8_0",
  iq2_xxs: "q8_0",
  iq2_xs: "q8_0",
  iq2_s: "q8_0",
  iq1_s: "q8_0",
  iq1_m: "q8_0",
  mxfp4: "q8_0",
  nvfp4: "q8_0",
};

/** The same for the K kinds, for backends without K kernels. */
export const TRANSCODED_K: Readonly<Partial<Record<DType, DType>>> = {
  q2_k: "q8_0",
  q3_k: "q8_0",
  q4_k: "q4_1",
  q5_k: "q5_1",
  q6_k: "q8_0",
};
