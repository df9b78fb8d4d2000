/**
 * Elementwise ops: arithmetic with broadcasting, activations.
 *
 * @module
 */
import type { Activation } from "../../program/ops.ts";
import { broadcastStrides, contiguousStrides } from "../../tensor/shape.ts";
import { elementOffsets } from "../../tensor/view.ts";
import { erfc } from "./erf.ts";
import type { HostTensor } from "./host_tensor.ts";
import type { Kernel } from "./kernel.ts";

/** A binary op with broadcasting. */
export function binary(apply: (a: number, b: number) => number): Kernel {
  return (call) => {
    const [a, b, out] = [call.input(0), call.input(1), call.output()];
    const [aAt, bAt] = [offsetsIn(a, out.shape), offsetsIn(b, out.shape)];
    const [x, y, z] = [a.f32, b.f32, out.f32];
    for (let i = 0; i < z.length; i++) z[i] = apply(x[aAt ? aAt[i] : i], y[bAt ? bAt[i] : i]);
  };
}

/** Where a broadcast operand has its elements; nothing where it is read straight through. */
function offsetsIn(operand: HostTensor, target: readonly number[]): Int32Array | undefined {
  if (operand.shape.join() === target.join()) return undefined;
  const strides = broadcastStrides(operand.shape, contiguousStrides(operand.shape), target);
  return elementOffsets({ shape: target, strides, offset: 0 });
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The activation functions in F64. */
export const ACTIVATION_FUNCTIONS: Readonly<Record<Activation, (x: number) => number>> = {
  gelu: (x) => 0.5 * x * erfc(-x / Math.SQRT2),
  geluTanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  quickGelu: (x) => x * sigmoid(1.702 * x),
  silu: (x) => x * sigmoid(x),
  relu: (x) => Math.max(x, 0),
  sigmoid,
  tanh: Math.tanh,
};

/** kind(x). */
export const activation: Kernel = (call) => {
  const apply = ACTIVATION_FUNCTIONS[call.attrs.kind as Activation];
  const [x, out] = [call.input(0).f32, call.output().f32];
  for (let i = 0; i < out.length; i++) out[i] = apply(x[i]);
};
