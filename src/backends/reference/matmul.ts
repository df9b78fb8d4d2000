/**
 * Matrix products. Products of two F32 are exact in F64, and sums are kept in F64.
 *
 * @module
 */
import { broadcastShapes, broadcastStrides, contiguousStrides } from "../../tensor/shape.ts";
import { elementOffsets } from "../../tensor/view.ts";
import type { Kernel } from "./kernel.ts";
import { checkIndex } from "./rows.ts";

/** Matrix product with broadcast batches; a vector is a row on the left and a column on the right. */
export const matmul: Kernel = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [m, inner, n] = [left[left.length - 2], left[left.length - 1], right[right.length - 1]];
  const [leftBatch, rightBatch] = [left.slice(0, -2), right.slice(0, -2)];
  const batch = broadcastShapes(leftBatch, rightBatch);
  const matrixAt = (shape: readonly number[]): Int32Array =>
    elementOffsets({
      shape: batch,
      strides: broadcastStrides(shape, contiguousStrides(shape), batch),
      offset: 0,
    });
  const [leftAt, rightAt] = [matrixAt(leftBatch), matrixAt(rightBatch)];
  const [x, y, out] = [a.f32, b.f32, call.output().f32];
  const sums = new Float64Array(n);
  for (let matrix = 0; matrix < leftAt.length; matrix++) {
    for (let row = 0; row < m; row++) {
      sums.fill(0);
      for (let k = 0; k < inner; k++) {
        const factor = x[(leftAt[matrix] * m + row) * inner + k];
        const from = (rightAt[matrix] * inner + k) * n;
        for (let column = 0; column < n; column++) sums[column] += factor * y[from + column];
      }
      out.set(sums, (matrix * m + row) * n);
    }
  }
};

/** x · weightᵀ + bias: each weight row is widened once and meets every row of x. */
export const linear: Kernel = (call) => {
  const [x, weight] = [call.input(0), call.input(1)];
  const [features, inner] = weight.shape;
  const { rows } = x;
  const [from, out, bias] = [x.f32, call.output().f32, call.optional(2)?.f32];
  const weightRow = weight.rowReader();
  for (let feature = 0; feature < features; feature++) {
    const vector = weightRow(feature);
    const offset = bias ? bias[feature] : 0;
    for (let row = 0; row < rows; row++) {
      out[row * features + feature] = offset + dot(from, row * inner, vector, inner);
    }
  }
};

/** Rows times the experts that they chose. */
export const matmulExperts: Kernel = (call) => {
  const [x, weight, ids] = [call.input(0), call.input(1), call.input(2)];
  const experts = call.number("experts");
  const [chosen, from, out] = [ids.i32, x.f32, call.output().f32];
  const [features, inner] = [weight.shape[0] / experts, weight.shape[1]];
  const sharing = x.shape.length === 3 ? 1 : ids.width;
  const weightRow = weight.rowReader();
  for (let unit = 0; unit < chosen.length; unit++) {
    const expert = checkIndex("matmulExperts: the expert", chosen[unit], experts);
    const row = Math.floor(unit / sharing);
    for (let feature = 0; feature < features; feature++) {
      out[unit * features + feature] = dot(
        from,
        row * inner,
        weightRow(expert * features + feature),
        inner,
      );
    }
  }
};

/** Four sums side by side: the order depends on `n` alone, and it is twice as fast as one. */
function dot(a: Float32Array, at: number, b: Float32Array, n: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i < n - 3; i += 4) {
    s0 += a[at + i] * b[i];
    s1 += a[at + i + 1] * b[i + 1];
    s2 += a[at + i + 2] * b[i + 2];
    s3 += a[at + i + 3] * b[i + 3];
  }
  for (; i < n; i++) s0 += a[at + i] * b[i];
  return s0 + s1 + (s2 + s3);
}
