/**
 * A tensor around one of its axes.
 *
 * @module
 */
import { elementCount } from "../../tensor/shape.ts";

/** A tensor seen as `[outer, dim, inner]`: element (o, k, i) stands at (o·dim + k)·inner + i. */
export interface AxisSplit {
  /** Product of the dimensions before the axis. */
  readonly outer: number;
  /** Length of the axis. */
  readonly dim: number;
  /** Product of the dimensions after it. */
  readonly inner: number;
}

/** Splits a shape around an axis that is already counted from the front. A scalar has one axis of one element. */
export function splitAt(shape: readonly number[], axis: number): AxisSplit {
  return {
    outer: elementCount(shape.slice(0, axis)),
    dim: shape[axis] ?? 1,
    inner: elementCount(shape.slice(axis + 1)),
  };
}
