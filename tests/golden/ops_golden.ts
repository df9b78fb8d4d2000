/** The cases of `tests/fixtures/ops.json`: single ops, computed by PyTorch. @module */

/** A number, or one that JSON has no number for. */
export type GoldenNumber = number | boolean | "NaN" | "Infinity" | "-Infinity";

/** An array of a case. */
export interface GoldenArray {
  readonly dtype: "f32" | "i32" | "bool";
  readonly shape: readonly number[];
  readonly data: readonly GoldenNumber[];
}

/** Parameters by their names in PyTorch; a case has those of its op. */
export interface GoldenParams {
  readonly dim: number;
  readonly dim0: number;
  readonly dim1: number;
  readonly dims: readonly number[];
  readonly shape: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly steps: readonly number[];
  readonly keepdim: boolean;
  readonly eps: number;
  readonly weight_offset?: number;
  readonly approximate: "none" | "tanh";
  readonly heads: number;
  readonly causal: boolean;
  readonly scale?: number;
  readonly past?: number;
  readonly softcap?: number;
  readonly window?: number;
  readonly theta: number;
  readonly rotary_dim: number;
  readonly interleaved: boolean;
  /** `transpose_x` is a permutation of the input x before the op. */
  readonly [view: `transpose_${string}`]: readonly number[] | undefined;
  /** `slice_x` is a start and an end for each dimension of the input x before the op. */
  readonly [view: `slice_${string}`]: readonly (readonly [start: number, end: number])[] | undefined;
}

/** One case. */
export interface GoldenCase {
  readonly op: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, GoldenArray>>;
  readonly params: GoldenParams;
  /** Of the array `y`, or none where the case is an error. */
  readonly outputs: Readonly<Record<string, GoldenArray>>;
  readonly error?: boolean;
  readonly tol: number;
  readonly note?: string;
  /** Bit patterns of casts, as hexadecimal numbers. */
  readonly f32_bits?: readonly string[];
  readonly f16_bits?: readonly string[];
  readonly bf16_bits?: readonly string[];
  readonly back_bits?: readonly string[];
  readonly is_nan?: readonly boolean[];
  readonly crc32_le_finite?: string;
  readonly count?: number;
  /** Quantized blocks, a string a row. */
  readonly hex?: readonly string[];
}

/** All cases. */
export const OPS_GOLDEN: readonly GoldenCase[] = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/ops.json", import.meta.url)),
).cases;

/** Numbers of a case as JavaScript has them. */
export function decodeNumbers(data: readonly GoldenNumber[]): number[] {
  return data.map(Number);
}
