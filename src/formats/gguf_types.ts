/**
 * How GGUF files are told from others, and the numbers that they use for types, as tables (GGUF spec, `ggml_type` and
 * `gguf_metadata_value_type`).
 *
 * @module
 */

import type { DType } from "../tensor/dtype.ts";

/** Whether the file starts as a GGUF file does. */
export function isGguf(head: Uint8Array): boolean {
  return head[0] === 0x47 && head[1] === 0x47 && head[2] === 0x55 && head[3] === 0x46;
}

/** The tensor types that can be read, by number. */
export const GGUF_DTYPES: Readonly<Record<number, DType>> = {
  0: "f32",
  1: "f16",
  2: "q4_0",
  3: "q4_1",
  6: "q5_0",
  7: "q5_1",
  8: "q8_0",
  9: "q8_1",
  10: "q2_k",
  11: "q3_k",
  12: "q4_k",
  13: "q5_k",
  14: "q6_k",
  16: "iq2_xxs",
  17: "iq2_xs",
  18: "iq3_xxs",
  19: "iq1_s",
  20: "iq4_nl",
  21: "iq3_s",
  22: "iq2_s",
  23: "iq4_xs",
  24: "i8",
  25: "i16",
  26: "i32",
  27: "i64",
  28: "f64",
  29: "iq1_m",
  30: "bf16",
  34: "tq1_0",
  35: "tq2_0",
  39: "mxfp4",
  40: "nvfp4",
};

/** Names of the others, so that an error can say which one it is. */
export const GGUF_OTHER_TYPES: Readonly<Record<number, string>> = {
  15: "Q8_K",
};

/** Metadata value types by name. */
export const ValueType = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
