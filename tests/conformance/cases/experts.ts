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

/**
 * A prompt's rows: experts with many of them, with one and with none, tiles of four with one to three rows left over, and
 * where there are two experts more rows than go through one of them at once.
 */
function prompt(
  dtype: DType,
  { rows, used, experts, own = false }: { rows: number; used: number; experts: number; own?: boolean },
): OpCase {
  const [inner, out] = [256, 24];
  const ids = integers(rows * used, experts * experts, 7).map((id) => Math.floor(Math.sqrt(id)));
  return overInputs(
    `matmulExperts ${dtype}, ${rows} rows by ${used} of ${experts}${own ? ", a row for each" : ""}`,
    { x: own ? ["rows", used, inner] : ["rows", inner] },
    (g, [x]) => {
      const w = g.weight("w", dtype, [experts * out, inner]);
      return g.matmulExperts(x, w, g.step("ids", "i32", ["rows", used]), experts);
    },
    {
      capacity: { rows, outputs: 0 },
      counts: { rows, outputs: 0 },
      fillings: { ids, w: packed(dtype, experts * out * inner, 3, 0.5) },
      quantized: dtype.startsWith("q"),
    },
  );
}

const prompts = (["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q4_k", "q6_k"] as const).flatMap((dtype) => [
  prompt(dtype, { rows: 61, used: 3, experts: 9 }),
  prompt(dtype, { rows: 23, used: 2, experts: 5, own: true }),
]);

/** Rows of one input are sorted by one choice of experts, by another, and by the first again. */
const several = overInputs(
  "matmulExperts three times, by other experts the second time",
  { x: ["rows", 64] },
  (g, [x]) => {
    const [v, w] = ["v", "w"].map((name) => g.weight(name, "q8_0", [4 * 64, 64]));
    const [ids, others] = ["ids", "others"].map((name) => g.step(name, "i32", ["rows", 2]));
    return [[v, ids], [v, others], [w, ids]].map(([weight, by]) => g.matmulExperts(x, weight, by, 4));
  },
  {
    ...PARTIAL_STEP,
    fillings: {
      ids: integers(16, 4, 9),
      others: integers(16, 4, 10),
      v: packed("q8_0", 4 * 64 * 64, 3, 0.5),
      w: packed("q8_0", 4 * 64 * 64, 4, 0.5),
    },
    quantized: true,
  },
);

/** Choosing experts, and products with the chosen. */
export const expertCases: readonly OpCase[] = [
  ...tops,
  ...products,
  ...prompts,
  prompt("f32", { rows: 300, used: 2, experts: 2 }),
  prompt("q4_0", { rows: 300, used: 2, experts: 2 }),
  several,
];
