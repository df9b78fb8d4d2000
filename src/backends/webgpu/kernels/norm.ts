/**
 * rmsNorm, addRmsNorm and layerNorm.
 *
 * @module
 */
import type { Value } from "../../../program/program.ts";
import {
  byWorkgroup,
  type Dispatch,
  dtypesLike,
  input,
  type KernelTable,
  type Operand,
  type OpView,
  product,
  reads,
  rowsOf,
  writes,
} from "../dispatch.ts";

function norm(
  view: OpView,
  x: Value,
  weight: Value | undefined,
  operands: Record<number, Operand>,
): Dispatch {
  const width = product(x.shape.slice(-1));
  const { rows } = rowsOf(x.shape);
  const perRow = x.shape.length > 1 ? product(x.shape.slice(1, -1)) : 1;
  const { eps, weightOffset } = view.op.attrs;
  return {
    shader: "norm",
    entry: view.op.name,
    constants: {
      WIDTH: width,
      PER_ROW: perRow,
      EPS: eps as number,
      HAS_WEIGHT: weight ? 1 : 0,
      ...(view.op.name === "layerNorm"
        ? { HAS_BIAS: view.inputs[2] ? 1 : 0 }
        : { OFFSET: weightOffset as number }),
    },
    operands: { 1: reads(weight), ...operands },
    // A vector is one row.
    rows: x.shape.length > 1 ? rows : 1,
    groups: byWorkgroup(perRow),
  };
}

/** The norms. */
export const NORMS: KernelTable = {
  rmsNorm: {
    supports: dtypesLike("ff"),
    dispatches(view) {
      const x = input(view, 0);
      return [norm(view, x, view.inputs[1], { 2: writes(view.outputs[0]), 3: reads(x) })];
    },
  },
  addRmsNorm: {
    supports: dtypesLike("fff"),
    dispatches(view) {
      const [a, b] = [input(view, 0), input(view, 1)];
      const [sum, normed] = view.outputs;
      return [
        norm(view, a, view.inputs[2], { 2: writes(normed), 3: reads(a), 4: reads(b), 5: writes(sum) }),
      ];
    },
  },
  layerNorm: {
    supports: dtypesLike("fff"),
    dispatches(view) {
      const x = input(view, 0);
      return [
        norm(view, x, view.inputs[1], { 2: writes(view.outputs[0]), 3: reads(x), 6: reads(view.inputs[2]) }),
      ];
    },
  },
};
