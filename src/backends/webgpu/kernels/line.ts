/**
 * reduce, softmax and argmax: work on lines along one axis.
 *
 * @module
 */
import { type Reduction, REDUCTIONS } from "../../../program/ops.ts";
import type { Dim } from "../../../program/program.ts";
import { normalizeAxis } from "../../../tensor/shape.ts";
import {
  byWorkgroup,
  type Dispatch,
  dtypesLike,
  input,
  type KernelTable,
  type OpView,
  product,
  reads,
  rowsOf,
  writes,
} from "../dispatch.ts";

interface Lines {
  readonly constants: Record<string, number>;
  readonly rows: Dim;
  groups(rows: number): number;
}

function linesAlong(shape: readonly Dim[], axis: number): Lines {
  const inner = product(shape.slice(axis + 1));
  if (axis > 0) {
    const { rows } = rowsOf(shape);
    const lines = product(shape.slice(1, axis)) * inner;
    return {
      constants: { LENGTH: product([shape[axis]]), INNER: inner, LINES: lines },
      rows,
      groups: byWorkgroup(lines),
    };
  }
  // Lines along the outermost dimension, which may be a step count: their number is known, their length is the count.
  return {
    constants: { INNER: inner, LINES: inner, ALONG_ROWS: 1 },
    rows: shape[0] ?? 1,
    groups: () => inner,
  };
}

function overLines(view: OpView, axis: number, kind: number | undefined, outAt: number): Dispatch[] {
  const x = input(view, 0);
  const { constants, rows, groups } = linesAlong(x.shape, normalizeAxis(axis, x.shape.length));
  return [{
    shader: "line",
    entry: view.op.name,
    constants: kind === undefined ? constants : { ...constants, KIND: kind },
    operands: { 1: reads(x), [outAt]: writes(view.outputs[0]) },
    rows,
    groups,
  }];
}

/** The kernels that work on lines. */
export const LINES: KernelTable = {
  reduce: {
    supports: dtypesLike("f"),
    dispatches: (view) =>
      overLines(view, view.op.attrs.axis as number, REDUCTIONS.indexOf(view.op.attrs.kind as Reduction), 2),
  },
  softmax: {
    supports: dtypesLike("f"),
    dispatches: (view) => overLines(view, view.op.attrs.axis as number, view.op.attrs.log ? 1 : 0, 2),
  },
  argmax: { supports: dtypesLike("f"), dispatches: (view) => overLines(view, -1, undefined, 3) },
};
