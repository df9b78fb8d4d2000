/** Cases of `matmul`, `linear` and `linearGroup`. @module */
import type { DType } from "../../../src/tensor/dtype.ts";
import { normal, packed } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { ofOp, overInputs, PARTIAL_STEP } from "./build.ts";

const MATMULS: readonly (readonly [a: readonly number[], b: readonly number[]])[] = [
  [[3, 4], [4, 5]],
  [[7, 13], [13, 3]],
  [[1, 17], [17, 9]],
  [[4, 1], [1, 6]],
  [[33, 65], [65, 31]],
  [[2, 257], [257, 3]],
  [[5], [5, 3]],
  [[4, 5], [5]],
  [[6], [6]],
  [[2, 3, 4], [2, 4, 5]],
  [[2, 3, 4], [4, 5]],
  [[2, 1, 3, 4], [3, 4, 2]],
  [[0, 4], [4, 3]],
  [[2, 0], [0, 3]],
];

const matmuls = MATMULS.map(([a, b]) => ofOp("matmul", `[${a}] [${b}]`, { a, b }));

/** Weight dtypes of `linear` that every backend must have. */
export const LINEAR_DTYPES: readonly DType[] = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"];
/** Weight dtypes that a backend may have. */
export const OPTIONAL_DTYPES: readonly DType[] = ["q5_0", "q5_1"];

const isFloat = (dtype: DType): boolean => !dtype.startsWith("q");

/** A linear of M rows, K inputs and N outputs, as a step of M rows out of more. */
function linear(dtype: DType, m: number, k: number, n: number, bias: boolean): OpCase {
  return overInputs(
    `linear ${dtype} M=${m} K=${k} N=${n}${bias ? " bias" : ""}`,
    { x: ["rows", k] },
    (g, [x]) => g.linear(x, g.weight("w", dtype, [n, k]), bias ? g.weight("b", "f32", [n]) : undefined),
    {
      capacity: { rows: m + 3, outputs: 0 },
      counts: { rows: m, outputs: 0 },
      fillings: { w: packed(dtype, n * k, m + k, 0.5), ...(bias ? { b: normal(n, 7) } : {}) },
      quantized: !isFloat(dtype),
    },
  );
}

const linears = [...LINEAR_DTYPES, ...OPTIONAL_DTYPES].flatMap((dtype) => [
  ...[1, 2, 5, 8, 33].map((m) => linear(dtype, m, 96, 80, m % 2 === 1)),
  // N that is no multiple of any tile, one block, and a size of a real layer.
  linear(dtype, 3, 64, 67, true),
  linear(dtype, 1, 32, 65, false),
  linear(dtype, 2, 576, 192, false),
  ...(isFloat(dtype) ? [linear(dtype, 5, 37, 19, true), linear(dtype, 1, 5, 1, false)] : []),
]);

const linearInputs = [
  overInputs(
    "linear of one vector",
    { x: [12] },
    (g, [x]) => g.linear(x, g.weight("w", "f32", [5, 12])),
    { fillings: { w: packed("f32", 60, 4) } },
  ),
  overInputs(
    "linear [2,3,12]",
    { x: [2, 3, 12] },
    (g, [x]) => g.linear(x, g.weight("w", "f16", [5, 12]), g.weight("b", "f32", [5])),
    { fillings: { w: packed("f16", 60, 4), b: normal(5, 5) } },
  ),
  overInputs(
    "linear of outputs",
    { x: ["outputs", 32] },
    (g, [x]) => g.linear(x, g.weight("w", "q8_0", [70, 32])),
    { ...PARTIAL_STEP, fillings: { w: packed("q8_0", 70 * 32, 4) }, quantized: true },
  ),
  overInputs(
    "linear of a weight stored as f16 and wanted as q8_0",
    { x: [4, 64] },
    (g, [x]) => g.linear(x, g.weight("w", "q8_0", [50, 64])),
    { fillings: { w: packed("f16", 50 * 64, 4) }, quantized: true },
  ),
  overInputs(
    "linear of a weight stored as bf16 and wanted as f32",
    { x: [4, 24] },
    (g, [x]) => g.linear(x, g.weight("w", "f32", [50, 24])),
    { fillings: { w: packed("bf16", 50 * 24, 4) } },
  ),
];

/** A group of linears that share their input. */
function group(dtypes: readonly DType[], m: number, sizes: readonly number[], bias: boolean): OpCase {
  const k = 64;
  const fillings = Object.fromEntries(
    dtypes.flatMap((dtype, i) => [
      [`w${i}`, packed(dtype, sizes[i] * k, 30 + i, 0.5)] as const,
      ...(bias ? [[`b${i}`, normal(sizes[i], 40 + i)] as const] : []),
    ]),
  );
  return overInputs(
    `linearGroup ${dtypes} M=${m}${bias ? " bias" : ""}`,
    { x: ["rows", k] },
    (g, [x]) => {
      const weights = dtypes.map((dtype, i) => g.weight(`w${i}`, dtype, [sizes[i], k]));
      const biases = bias ? dtypes.map((_, i) => g.weight(`b${i}`, "f32", [sizes[i]])) : [];
      return g.record("linearGroup", [x, weights[0], weights[1], weights[2], ...biases]);
    },
    {
      capacity: { rows: 40, outputs: 0 },
      counts: { rows: m, outputs: 0 },
      fillings,
      quantized: dtypes.some((dtype) => !isFloat(dtype)),
    },
  );
}

const groups = [
  ...LINEAR_DTYPES.flatMap((dtype) => [
    group([dtype, dtype, dtype], 1, [96, 48, 48], false),
    group([dtype, dtype, dtype], 5, [96, 48, 48], true),
    group([dtype, dtype], 33, [70, 70], false),
  ]),
  group(["q4_0", "q4_0", "q8_0"], 2, [64, 48, 80], false),
  group(["f32", "f16", "bf16"], 2, [17, 5, 33], true),
];

/** Matrix products. */
export const matmulCases: readonly OpCase[] = matmuls;
/** Linears by weight dtype and row count. */
export const linearCases: readonly OpCase[] = [...linears, ...linearInputs, ...groups];
