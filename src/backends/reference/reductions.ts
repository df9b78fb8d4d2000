/**
 * Ops along one axis: reductions, argmax, softmax.
 *
 * @module
 */
import type { Reduction } from "../../program/ops.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import type { Kernel } from "./kernel.ts";
import { splitAt } from "./axis.ts";

/** Sum, mean or maximum over one axis. A NaN makes the maximum NaN, as in PyTorch. */
export const reduce: Kernel = (call) => {
  const x = call.input(0);
  const { outer, dim, inner } = splitAt(x.shape, normalizeAxis(call.number("axis"), x.shape.length));
  const kind = call.attrs.kind as Reduction;
  const [from, out] = [x.f32, call.output().f32];
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let total = kind === "max" ? -Infinity : 0;
      for (let k = 0; k < dim; k++) {
        const value = from[(o * dim + k) * inner + i];
        total = kind === "max" ? Math.max(total, value) : total + value;
      }
      out[o * inner + i] = kind === "mean" ? total / dim : total;
    }
  }
};

/** Position of the first maximum along the last axis; NaN never wins. */
export const argmax: Kernel = (call) => {
  const x = call.input(0);
  const { width } = x;
  const [from, out] = [x.f32, call.output().i32];
  for (let row = 0; row < out.length; row++) {
    let best = -1;
    for (let k = 0; k < width; k++) {
      const value = from[row * width + k];
      if (!Number.isNaN(value) && (best < 0 || value > from[row * width + best])) best = k;
    }
    out[row] = Math.max(best, 0);
  }
};

/** The k highest along the last axis; NaN counts as -inf. */
export const topK: Kernel = (call) => {
  const x = call.input(0);
  const { width, rows } = x;
  const k = call.number("k");
  const [from, values, positions] = [x.f32, call.output(0).f32, call.output(1).i32];
  for (let row = 0; row < rows; row++) {
    const elements = from.subarray(row * width, (row + 1) * width);
    const key = (i: number): number => (Number.isNaN(elements[i]) ? -Infinity : elements[i]);
    const order = [...elements.keys()].sort((a, b) => (key(a) === key(b) ? a - b : key(b) - key(a)));
    for (let i = 0; i < k; i++) {
      values[row * k + i] = elements[order[i]];
      positions[row * k + i] = order[i];
    }
  }
};

/** Softmax over one axis, or its logarithm, less the maximum so that nothing overflows. */
export const softmax: Kernel = (call) => {
  const x = call.input(0);
  const { outer, dim, inner } = splitAt(x.shape, normalizeAxis(call.number("axis"), x.shape.length));
  const log = call.flag("log");
  const [from, out] = [x.f32, call.output().f32];
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const at = (k: number): number => (o * dim + k) * inner + i;
      let peak = -Infinity;
      for (let k = 0; k < dim; k++) peak = Math.max(peak, from[at(k)]);
      let total = 0;
      for (let k = 0; k < dim; k++) total += Math.exp(from[at(k)] - peak);
      for (let k = 0; k < dim; k++) {
        const shifted = from[at(k)] - peak;
        out[at(k)] = log ? shifted - Math.log(total) : Math.exp(shifted) / total;
      }
    }
  }
};
