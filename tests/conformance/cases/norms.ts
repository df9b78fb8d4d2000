/** Cases of norms. @module */
import { normal } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { ofOp, overInputs, PARTIAL_STEP } from "./build.ts";

const WIDTHS = [1, 3, 8, 33, 64, 576];

const layerNorms = WIDTHS.flatMap((width) => [
  ofOp("layerNorm", `affine ${width}`, { x: [3, width], w: [width], b: [width] }, { eps: 1e-5 }),
  ofOp("layerNorm", `weight ${width}`, { x: [3, width], w: [width] }, { eps: 1e-6 }),
  ofOp("layerNorm", `plain ${width}`, { x: [2, 2, width] }, { eps: 1e-5 }),
  ofOp(
    "layerNorm",
    `rows ${width}`,
    { x: ["rows", width], w: [width], b: [width] },
    { eps: 1e-5 },
    PARTIAL_STEP,
  ),
]);

const rmsNorms = WIDTHS.flatMap((width) => [
  ofOp("rmsNorm", `affine ${width}`, { x: [3, width], w: [width] }, { eps: 1e-6 }),
  ofOp("rmsNorm", `offset ${width}`, { x: [3, width], w: [width] }, { eps: 1e-6, weightOffset: 1 }),
  ofOp("rmsNorm", `plain ${width}`, { x: [2, 2, width] }, { eps: 1e-5 }),
  ofOp("rmsNorm", `rows ${width}`, { x: ["rows", width], w: [width] }, { eps: 1e-5 }, PARTIAL_STEP),
  ofOp("addRmsNorm", `affine ${width}`, { a: [3, width], b: [3, width], w: [width] }, { eps: 1e-6 }),
  ofOp("addRmsNorm", `plain ${width}`, { a: [3, width], b: [3, width] }, { eps: 1e-6 }),
  ofOp(
    "addRmsNorm",
    `rows ${width}`,
    { a: ["rows", width], b: ["rows", width], w: [width] },
    { eps: 1e-6, weightOffset: 1 },
    PARTIAL_STEP,
  ),
]);

const special = [
  ofOp("layerNorm", "large mean", { x: [2, 64] }, { eps: 1e-5 }, {
    fillings: { x: normal(128, 3).map((x) => 1000 + x) },
    tolerance: 2e-3,
  }),
  ofOp("layerNorm", "constant row", { x: [2, 6] }, { eps: 1e-5 }, {
    fillings: { x: new Float32Array(12).fill(2) },
  }),
  ofOp("rmsNorm", "zeros", { x: [2, 6] }, { eps: 1e-6 }, { fillings: { x: new Float32Array(12) } }),
  overInputs(
    "rmsNorm by a weight of the plain layout",
    { x: [3, 40] },
    (g, [x]) => g.rmsNorm(x, g.weight("norm", "f32", [40]), 1e-6),
    { fillings: { norm: normal(40, 9) } },
  ),
];

/** Layer norm and RMS norm, alone and after a residual sum. */
export const normCases: readonly OpCase[] = [...layerNorms, ...rmsNorms, ...special];
