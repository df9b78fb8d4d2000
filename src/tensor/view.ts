/**
 * Views: shape, strides and offset over elements that stay where they are. All arithmetic, no copies, but for
 * {@linkcode copyView}, which makes one.
 *
 * @module
 */
import { DTypeError, OutOfBoundsError, ShapeError } from "../errors.ts";
import { byteLength, type DType, DTYPES } from "./dtype.ts";
import { contiguousStrides, elementCount, normalizeAxis, type Shape } from "./shape.ts";

/** How a tensor is read: element (i, j, …) stands at offset + i·strides[0] + j·strides[1] + … */
export interface View {
  /** Dimensions, outermost first. */
  readonly shape: Shape;
  /** Steps between neighbours along each dimension, in elements. */
  readonly strides: readonly number[];
  /** Where the first element stands. */
  readonly offset: number;
}

/** Part of one dimension: from `start` up to `end` (not included), every `step`-th; `undefined` is all of it. */
export type Range = readonly [start: number, end: number, step?: number] | undefined;

/** The view of a whole tensor whose elements stand one after another. */
export function wholeView(shape: Shape): View {
  return { shape, strides: contiguousStrides(shape), offset: 0 };
}

/** Whether the elements stand one after another, wherever the first one is. */
export function isContiguous({ shape, strides }: View): boolean {
  if (shape.includes(0)) return true;
  const expected = contiguousStrides(shape);
  return shape.every((dim, axis) => dim === 1 || strides[axis] === expected[axis]);
}

/** The dimensions in another order. */
export function permuteView({ shape, strides, offset }: View, dims: readonly number[]): View {
  const axes = dims.map((dim) => normalizeAxis(dim, shape.length));
  if (axes.length !== shape.length || new Set(axes).size !== axes.length) {
    throw new ShapeError(`permute: [${dims}] does not name each of ${shape.length} dimensions once`);
  }
  return { shape: axes.map((axis) => shape[axis]), strides: axes.map((axis) => strides[axis]), offset };
}

/** Two dimensions changed for one another. */
export function transposeView(view: View, a: number, b: number): View {
  const rank = view.shape.length;
  const order = view.shape.map((_, axis) => axis);
  const [first, second] = [normalizeAxis(a, rank), normalizeAxis(b, rank)];
  [order[first], order[second]] = [second, first];
  return permuteView(view, order);
}

/** A part of each dimension; those that are not named stay whole. */
export function sliceView({ shape, strides, offset }: View, ranges: readonly Range[]): View {
  if (ranges.length > shape.length) {
    throw new ShapeError(`slice: ${ranges.length} ranges for a tensor of ${shape.length} dimensions`);
  }
  let start = offset;
  const cut = { shape: [...shape], strides: [...strides] };
  ranges.forEach((range, axis) => {
    if (!range) return;
    const [from, to, step = 1] = range;
    const whole = [from, to, step].every(Number.isInteger);
    if (!whole || from < 0 || to < from || to > shape[axis] || step < 1) {
      throw new OutOfBoundsError(
        `slice: ${from}..${to} by ${step} is not inside dimension ${axis} of [${shape}]`,
      );
    }
    start += from * strides[axis];
    cut.shape[axis] = Math.ceil((to - from) / step);
    cut.strides[axis] = strides[axis] * step;
  });
  return { ...cut, offset: start };
}

/** Offset of each element of a view, in row-major order. */
export function elementOffsets({ shape, strides, offset }: View): Int32Array {
  let offsets = Int32Array.of(offset);
  shape.forEach((dim, axis) => {
    const next = new Int32Array(offsets.length * dim);
    let n = 0;
    for (const outer of offsets) {
      for (let k = 0; k < dim; k++) next[n++] = outer + k * strides[axis];
    }
    offsets = next;
  });
  return offsets;
}

/**
 * Checks that a view can be copied, and gives it in units of blocks: for a block-quantized dtype its rows must be whole
 * blocks in their order.
 *
 * @throws {DTypeError} where the view cuts blocks, or takes elements out of them.
 */
export function inBlocks(dtype: DType, view: View): View {
  const { blockSize } = DTYPES[dtype];
  if (blockSize === 1) return view;
  const inner = view.shape.length - 1;
  const lengths = [...view.strides.slice(0, -1), view.shape[inner] ?? 1, view.offset];
  if ((view.strides[inner] ?? 1) !== 1 || lengths.some((length) => length % blockSize !== 0)) {
    throw new DTypeError(
      `a view [${view.shape}] with strides [${view.strides}] cuts the blocks of ${dtype}; cast it to f32 first`,
    );
  }
  return {
    shape: view.shape.map((dim, axis) => (axis === inner ? dim / blockSize : dim)),
    strides: view.strides.map((stride, axis) => (axis === inner ? 1 : stride / blockSize)),
    offset: view.offset / blockSize,
  };
}

/** The elements of a view, one after another. */
export function copyView(dtype: DType, bytes: Uint8Array, view: View): Uint8Array {
  const { blockBytes } = DTYPES[dtype];
  const out = new Uint8Array(byteLength(dtype, elementCount(view.shape)));
  elementOffsets(inBlocks(dtype, view)).forEach((block, i) => {
    out.set(bytes.subarray(block * blockBytes, (block + 1) * blockBytes), i * blockBytes);
  });
  return out;
}
