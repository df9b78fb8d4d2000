/** Cases of elementwise ops. @module */
import { ACTIVATIONS } from "../../../src/program/ops.ts";
import type { Dim } from "../../../src/program/program.ts";
import { normal } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { ofOp, PARTIAL_STEP } from "./build.ts";

const SHAPES: readonly (readonly [a: readonly number[], b: readonly number[]])[] = [
  [[1], [1]],
  [[7], [7]],
  [[3, 4], [3, 4]],
  [[5, 33], [33]],
  [[3, 5], [3, 1]],
  [[3, 1], [1, 5]],
  [[2, 3], []],
  [[], [2, 3]],
  [[2, 1, 4], [2, 3, 1]],
  [[4], [2, 3, 4]],
  [[2, 1, 3, 1, 2, 1], [1, 4, 1, 2, 1, 3]],
  [[0, 3], [3]],
];

const STEP_SHAPES: readonly (readonly [a: readonly Dim[], b: readonly Dim[]])[] = [
  [["rows", 17], ["rows", 17]],
  [["rows", 17], [17]],
  [["rows", 17], ["rows", 1]],
  [["outputs", 4, 6], [4, 6]],
  [[], ["rows", 6]],
];

const arithmetic = (["add", "sub", "mul", "div"] as const).flatMap((op) => [
  ...SHAPES.map(([a, b]) => ofOp(op, `[${a}] [${b}]`, { a, b }, {}, { tolerance: 1e-6 })),
  ...STEP_SHAPES.map(([a, b]) => ofOp(op, `[${a}] [${b}]`, { a, b }, {}, PARTIAL_STEP)),
]).map((opCase): OpCase => {
  // Quotients stay of ordinary size.
  const b = opCase.fillings.b as Float32Array;
  return { ...opCase, fillings: { ...opCase.fillings, b: b.map((x) => x + Math.sign(x)) } };
});

const GRID = Float32Array.of(-9, -6, -3, -1, -0.5, -1e-3, -1e-8, 0, 1e-8, 1e-3, 0.5, 1, 3, 6, 9);
const FAR = Float32Array.of(-1e4, -100, -88, -50, -20, 20, 50, 88, 100, 1e4);

const activations = ACTIVATIONS.flatMap((kind) => [
  ofOp("activation", `${kind} grid`, { x: [GRID.length] }, { kind }, {
    fillings: { x: GRID },
    tolerance: 1e-6,
  }),
  ofOp("activation", `${kind} far`, { x: [FAR.length] }, { kind }, { fillings: { x: FAR }, tolerance: 1e-7 }),
  ...[1, 3, 4, 5, 31, 1000].map((n) =>
    ofOp("activation", `${kind} ${n}`, { x: [n] }, { kind }, { fillings: { x: normal(n, n, 3) } })
  ),
  ofOp("activation", `${kind} rows`, { x: ["rows", 19] }, { kind }, PARTIAL_STEP),
  ofOp("gatedActivation", `${kind} [3,37]`, { gate: [3, 37], up: [3, 37] }, { kind }),
  ofOp("gatedActivation", `${kind} rows`, { gate: ["rows", 21], up: ["rows", 21] }, { kind }, PARTIAL_STEP),
]);

/** Arithmetic with broadcasting, activations, gated activations. */
export const elementwiseCases: readonly OpCase[] = [...arithmetic, ...activations];
