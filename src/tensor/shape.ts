/**
 * Shape arithmetic: element counts, strides, broadcasting, axes.
 *
 * @module
 */
import { DTypeError, OutOfBoundsError, ShapeError } from "../errors.ts";
import { type DType, DTYPES } from "./dtype.ts";

/** Dimensions of a tensor, outermost first. */
export type Shape = readonly number[];

/** Checks that every dimension is a non-negative whole number and that the product can be counted. */
export function checkShape(shape: Shape): void {
  let product = 1;
  for (const dim of shape) {
    if (!Number.isInteger(dim) || dim < 0) {
      throw new ShapeError(`shape [${shape}] has the impossible dimension ${dim}`);
    }
    product *= dim;
  }
  if (!Number.isSafeInteger(product)) {
    throw new ShapeError(`shape [${shape}] has more elements than can be counted`);
  }
}

/** Number of elements; 1 for a scalar. */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Checks that rows of a block-quantized dtype are whole blocks. */
export function checkBlocks(dtype: DType, shape: Shape): void {
  const { blockSize } = DTYPES[dtype];
  const inner = shape.at(-1) ?? 1;
  if (inner % blockSize !== 0) {
    throw new DTypeError(
      `${dtype} needs rows of whole blocks of ${blockSize}, and the rows have ${inner} elements`,
    );
  }
}

/** Strides, in elements, of a contiguous tensor. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Turns a negative axis into its position from the front, and checks it. */
export function normalizeAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= Math.max(rank, 1)) {
    throw new OutOfBoundsError(`axis ${axis} is outside a tensor of ${rank} dimensions`);
  }
  return normal;
}

/**
 * Shape of an elementwise operation under the usual broadcasting rules: shapes are aligned at their last dimension,
 * and a dimension of 1 stretches.
 */
export function broadcastShapes(a: Shape, b: Shape, what = "broadcast"): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(`${what}: shapes [${a}] and [${b}] do not broadcast`);
    }
    out[i] = x === 1 ? y : x;
  }
  return out;
}

/** Strides with which a tensor of `shape` is read as one of `target`: 0 where a dimension is stretched. */
export function broadcastStrides(shape: Shape, strides: readonly number[], target: Shape): number[] {
  const lead = target.length - shape.length;
  return target.map((dim, i) => (i < lead || (shape[i - lead] === 1 && dim !== 1) ? 0 : strides[i - lead]));
}

/** Fills in one `-1` of a requested shape and checks that the element counts agree. */
export function resolveReshape(from: Shape, to: Shape): number[] {
  const count = elementCount(from);
  const holes = to.filter((dim) => dim === -1).length;
  if (holes > 1) throw new ShapeError(`reshape to [${to}]: at most one dimension may be -1`);
  const known = to.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  const out = to.map((dim) => (dim === -1 ? (known === 0 ? 0 : count / known) : dim));
  checkShape(out);
  if (elementCount(out) !== count) {
    throw new ShapeError(`reshape from [${from}] to [${to}]: element counts differ`);
  }
  return out;
}
