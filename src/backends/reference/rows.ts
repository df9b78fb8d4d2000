/**
 * Ops that move elements: embeddings, rows by index, strided copies, concatenation.
 *
 * @module
 */
import { OutOfBoundsError } from "../../errors.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import { elementOffsets } from "../../tensor/view.ts";
import { splitAt } from "./axis.ts";
import type { Kernel } from "./kernel.ts";

/** Checks an index that came with the step. */
export function checkIndex(what: string, index: number, bound: number): number {
  if (index < 0 || index >= bound) {
    throw new OutOfBoundsError(`${what} ${index} is outside 0..${bound - 1}`);
  }
  return index;
}

/** Rows of a weight by token id, times `scale`. */
export const embed: Kernel = (call) => {
  const [ids, weight] = [call.input(0).i32, call.input(1)];
  const scale = call.number("scale");
  const { rows, width } = weight;
  const out = call.output().f32;
  const weightRow = weight.rowReader();
  for (let t = 0; t < ids.length; t++) {
    const row = weightRow(checkIndex("embed: the token id", ids[t], rows));
    for (let i = 0; i < width; i++) out[t * width + i] = row[i] * scale;
  }
};

/** Rows of x by index. */
export const gatherRows: Kernel = (call) => {
  const [x, indexes] = [call.input(0), call.input(1).i32];
  const { rows, width } = x;
  const [from, out] = [x.f32, call.output().f32];
  for (let t = 0; t < indexes.length; t++) {
    const row = checkIndex("gatherRows: the row", indexes[t], rows);
    out.set(from.subarray(row * width, (row + 1) * width), t * width);
  }
};

/** A contiguous copy of a strided view. */
export const copy: Kernel = (call) => {
  const [from, out] = [call.input(0).f32, call.output().f32];
  const [shape, strides, offset] = [call.numbers("shape"), call.numbers("strides"), call.number("offset")];
  const offsets = elementOffsets({ shape, strides, offset });
  for (let i = 0; i < out.length; i++) out[i] = from[offsets[i]];
};

/** Joins two tensors along an axis. */
export const concat: Kernel = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const axis = normalizeAxis(call.number("axis"), a.shape.length);
  const [first, second] = [splitAt(a.shape, axis), splitAt(b.shape, axis)];
  const [x, y, out] = [a.f32, b.f32, call.output().f32];
  // All that lies at or under the axis is one run of memory in each input.
  const [run, other] = [first.dim * first.inner, second.dim * second.inner];
  for (let o = 0; o < first.outer; o++) {
    out.set(x.subarray(o * run, (o + 1) * run), o * (run + other));
    out.set(y.subarray(o * other, (o + 1) * other), o * (run + other) + run);
  }
};
