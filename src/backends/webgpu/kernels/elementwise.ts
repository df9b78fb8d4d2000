/**
 * add, sub, mul, div, activation and gatedActivation.
 *
 * @module
 */
import { type Activation, ACTIVATIONS, OPS } from "../../../program/ops.ts";
import type { Dim, Value } from "../../../program/program.ts";
import {
  byElement,
  type Dispatch,
  dtypesLike,
  input,
  type Kernel,
  type KernelTable,
  type Operand,
  type OpView,
  product,
  reads,
  rowsOf,
  uniform,
  vectors,
  writes,
} from "../dispatch.ts";

/** How the shader finds an operand's element for an element of the output. */
const MODES = { same: 0, repeated: 1, strided: 2 } as const;

function modeOf(value: Value, shape: readonly Dim[]): keyof typeof MODES {
  const own = value.shape.slice(value.shape.findIndex((dim) => dim !== 1));
  if (value.shape.join() === shape.join()) return "same";
  if (value.shape.every((dim) => dim === 1)) return "repeated";
  return own.join() === shape.slice(shape.length - own.length).join() && own.length < shape.length
    ? "repeated"
    : "strided";
}

/** Strides of an operand in the output's dimensions: 0 where it is stretched. */
function stridesIn(value: Value, shape: readonly Dim[]): number[] {
  const strides = new Array<number>(shape.length).fill(0);
  let stride = 1;
  for (let i = 1; i <= value.shape.length; i++) {
    const dim = value.shape[value.shape.length - i];
    strides[shape.length - i] = dim === 1 ? 0 : stride;
    if (typeof dim === "number") stride *= dim;
  }
  return strides;
}

function binary(view: OpView): Dispatch[] {
  const [a, b] = [input(view, 0), input(view, 1)];
  const [out] = view.outputs;
  const { rows, width } = rowsOf(out.shape);
  const lengthOf = (value: Value): number => typeof value.shape[0] === "string" ? 1 : product(value.shape);
  return [{
    shader: "elementwise",
    entry: "binary",
    constants: {
      KIND: OPS[view.op.name].code,
      WIDTH: width,
      A_MODE: MODES[modeOf(a, out.shape)],
      B_MODE: MODES[modeOf(b, out.shape)],
      A_LENGTH: lengthOf(a),
      B_LENGTH: lengthOf(b),
      RANK: Math.max(out.shape.length, 1),
    },
    operands: {
      1: uniform(vectors(
        out.shape.map((dim) => (typeof dim === "number" ? dim : 0)),
        stridesIn(a, out.shape),
        stridesIn(b, out.shape),
      )),
      2: reads(a),
      3: reads(b),
      4: writes(out),
    },
    rows,
    groups: byElement(width),
  }];
}

function activation(view: OpView): Dispatch[] {
  const [out] = view.outputs;
  const { rows, width } = rowsOf(out.shape);
  const [x, up] = view.inputs;
  const operands: Record<number, Operand> = { 2: reads(x), 4: writes(out) };
  if (up) operands[3] = reads(up);
  return [{
    shader: "elementwise",
    entry: view.op.name,
    constants: { KIND: ACTIVATIONS.indexOf(view.op.attrs.kind as Activation), WIDTH: width },
    operands,
    rows,
    groups: byElement(width),
  }];
}

const arithmetic: Kernel = { supports: dtypesLike("ff"), dispatches: binary };
const activated: Kernel = { supports: dtypesLike("ff"), dispatches: activation };

/** The elementwise kernels. */
export const ELEMENTWISE: KernelTable = {
  add: arithmetic,
  sub: arithmetic,
  mul: arithmetic,
  div: arithmetic,
  activation: activated,
  gatedActivation: activated,
};
