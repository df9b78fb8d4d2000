/**
 * The dtypes that models are quantized to.
 *
 * @module
 */

/** Name of a dtype that a model can be converted to. */
export type QuantKind =
  | "q8_0"
  | "q4_0"
  | "q4_1"
  | "q5_0"
  | "q5_1"
  | "q4_k"
  | "q5_k"
  | "q6_k"
  | "f16"
  | "bf16"
  | "f32";

/** Dtypes that a model can be converted to. */
export const QUANT_KINDS: readonly QuantKind[] = [
  "q8_0",
  "q4_0",
  "q4_1",
  "q5_0",
  "q5_1",
  "q4_k",
  "q5_k",
  "q6_k",
  "f16",
  "bf16",
  "f32",
];
