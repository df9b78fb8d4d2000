/** Cases of reductions, argmax and softmax. @module */
import { REDUCTIONS } from "../../../src/program/ops.ts";
import { normal } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { ofOp, PARTIAL_STEP } from "./build.ts";

const reductions = REDUCTIONS.flatMap((kind) => [
  ...[[1], [5], [1000], [3, 33], [2, 3, 4]].flatMap((x) =>
    x.flatMap((_, axis) => [
      ofOp("reduce", `${kind} [${x}] axis ${axis}`, { x }, { kind, axis }),
      ofOp("reduce", `${kind} [${x}] axis ${axis - x.length} kept`, { x }, {
        kind,
        axis: axis - x.length,
        keepDim: true,
      }),
    ])
  ),
  ofOp("reduce", `${kind} rows`, { x: ["rows", 3, 11] }, { kind, axis: 1 }, PARTIAL_STEP),
]);

const TIES = Float32Array.of(1, 3, 3, 2, 2, 1, NaN, -7, -5, NaN, NaN, NaN, -Infinity, -Infinity, -Infinity);

const argmaxes = [
  ...[[1], [5], [3, 33], [2, 3, 4], [2, 1003]].map((x) => ofOp("argmax", `[${x}]`, { x })),
  ofOp("argmax", "ties and NaN", { x: [5, 3] }, {}, { fillings: { x: TIES } }),
  ofOp("argmax", "outputs", { x: ["outputs", 77] }, {}, PARTIAL_STEP),
];

const softmaxes = [false, true].flatMap((log) => {
  const kind = log ? "log " : "";
  return [
    ...[[1], [5], [3, 33], [2, 3, 4], [2, 1003]].flatMap((x) =>
      x.map((_, axis) => ofOp("softmax", `${kind}[${x}] axis ${axis}`, { x }, { axis, log }))
    ),
    ofOp("softmax", `${kind}large`, { x: [2, 9] }, { log }, { fillings: { x: normal(18, 5, 1e4) } }),
    ofOp("softmax", `${kind}-inf among others`, { x: [1, 3] }, { log }, {
      fillings: { x: Float32Array.of(-Infinity, 1, 2) },
    }),
    ofOp("softmax", `${kind}rows`, { x: ["rows", 13] }, { log }, PARTIAL_STEP),
  ];
});

/** Reductions over each axis, argmax with ties and NaN, softmax and its logarithm. */
export const reductionCases: readonly OpCase[] = [...reductions, ...argmaxes, ...softmaxes];
