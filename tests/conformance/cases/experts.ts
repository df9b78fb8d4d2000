/** Cases of `topK` and `matmulExperts`. @module */
import type { DType } from "../../../src/tensor/dtype.ts";
import { integers, packed } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { overInputs, PARTIAL_STEP } from "./build.ts";

const topK = (
  name: string,
  shape: readonly ("rows" | number)[],
  k: number,
  more: Partial<OpCase> = {},
): OpCase => overInputs(`topK ${name}`, { x: shape }, (g, [x]) => Object.values(g.topK(x, k)), more);

const tops = [
  topK("2 of 8 in rows", ["rows", 8], 2, PARTIAL_STEP),
  topK("all of 5", [3, 5], 5),
  topK("1 of 300", [2, 300], 1),
  topK("of three dimensions", [2, 3, 7], 4),
  topK("equals, NaN and infinities", [2, 6], 6, {
    fillings: {
      x: Float32Array.of(1, 2, 2, NaN, 2, 1, -Infinity, NaN, -Infinity, Infinity, 0, -0),
    },
  }),
];

/** Five rows, each with two of four experts. */
function product(dtype: DType, inner: number, out: number, own: boolean): OpCase {
  return overInputs(
    `matmulExperts ${dtype} K=${inner} N=${out}${own ? ", a row for each expert" : ""}`,
    { x: own ? ["rows", 2, inner] : ["rows", inner] },
    (g, [x]) =>
      g.matmulExperts(x, g.weight("w", dtype, [4 * out, inner]), g.step("ids", "i32", ["rows", 2]), 4),
    {
      ...PARTIAL_STEP,
      fillings: { ids: integers(10, 4, 9), w: packed(dtype, 4 * out * inner, 3, 0.5) },
      quantized: dtype.startsWith("q"),
    },
  );
}

const products = (["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1"] as const).flatMap((
  dtype,
) => [
  product(dtype, 64, 20, false),
  product(dtype, 32, 48, true),
  product(dtype, 96, 1, false),
]);

/** Choosing experts, and products with the chosen. */
export const expertCases: readonly OpCase[] = [...tops, ...products];
