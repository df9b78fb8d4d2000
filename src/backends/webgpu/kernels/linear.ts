/**
 * linear and embed: the ops that read packed weights.
 *
 * @module
 */
import type { Dim, Value } from "../../../program/program.ts";
import type { DType } from "../../../tensor/dtype.ts";
import {
  byElement,
  type Dispatch,
  input,
  type KernelTable,
  type OpView,
  product,
  reads,
  WORKGROUP_SIZE,
  writes,
} from "../dispatch.ts";
import { isPackable } from "../weights.ts";

/** Rows that an invocation computes where there are as many. */
const TILE = 4;

/** The rows of a tensor whose last dimension is put aside. */
function leading(shape: readonly Dim[]): { rows: Dim; perRow: number } {
  const lead = shape.slice(0, -1);
  return { rows: lead[0] ?? 1, perRow: product(lead.slice(1)) };
}

function weightConstants(view: OpView, weight: Value): Record<string, number> {
  const { format, scalesAt } = view.layoutOf(weight);
  return { FORMAT: format, IN: product(weight.shape.slice(1)), SCALES: scalesAt };
}

function linear(view: OpView): Dispatch[] {
  const [x, weight] = [input(view, 0), input(view, 1)];
  const [out] = view.outputs;
  const bias = view.inputs[2];
  const { rows, perRow } = leading(x.shape);
  const [features, width] = weight.shape.map((dim) => product([dim]));
  // The shader reads rows in fours where their length allows it.
  const inFours = width % 4 === 0;
  const tiled = (tile: number, when: (rows: number) => boolean): Dispatch => ({
    shader: "linear",
    entry: inFours ? "linear" : "linearByElement",
    constants: {
      ...weightConstants(view, weight),
      OUT: features,
      PER_ROW: perRow,
      ...(inFours ? { TILE: tile } : {}),
      HAS_BIAS: bias ? 1 : 0,
    },
    operands: { 1: reads(weight), [inFours ? 2 : 5]: reads(x), 3: reads(bias), 4: writes(out) },
    rows,
    groups: (count) => Math.ceil(Math.ceil(count * perRow / tile) * features / WORKGROUP_SIZE),
    when,
  });
  if (!inFours) return [tiled(1, () => true)];
  // Decoding has one row, prefill has many: the sums are the same, only how many share a weight differs.
  return [tiled(1, (count) => count * perRow < TILE), tiled(TILE, (count) => count * perRow >= TILE)];
}

function embed(view: OpView): Dispatch[] {
  const [ids, weight] = [input(view, 0), input(view, 1)];
  const [out] = view.outputs;
  const { rows, perRow } = leading(out.shape);
  return [{
    shader: "embed",
    entry: "embed",
    constants: {
      ...weightConstants(view, weight),
      PER_ROW: perRow,
      SCALE: view.op.attrs.scale as number,
    },
    operands: { 1: reads(weight), 2: reads(ids), 3: writes(out) },
    rows,
    groups: byElement(perRow * product(weight.shape.slice(1))),
  }];
}

/** The kernels over packed weights. */
export const PACKED: KernelTable = {
  linear: {
    supports: ([x, weight, bias]: readonly DType[]) =>
      x === "f32" && isPackable(weight) && (bias === undefined || bias === "f32"),
    dispatches: linear,
  },
  embed: {
    supports: ([ids, weight]: readonly DType[]) => ids === "i32" && isPackable(weight),
    dispatches: embed,
  },
};
