/**
 * What the shape rules of the op table are made of: checks on dtypes, shapes and broadcasting.
 *
 * @module
 */
import { DTypeError, ShapeError } from "../errors.ts";
import { wholeBlocks } from "../tensor/dtype.ts";
import { broadcastShapes } from "../tensor/shape.ts";
import type { Dim, ValueType } from "./program.ts";

/** An F32 type. */
export const f32 = (shape: readonly Dim[]): ValueType => ({ dtype: "f32", shape });
/** An I32 type. */
export const i32 = (shape: readonly Dim[]): ValueType => ({ dtype: "i32", shape });
/** A type for messages. */
export const text = (type: ValueType): string => `${type.dtype}[${type.shape}]`;

/** The input, which must be there, of that dtype and rank. */
export function need(
  op: string,
  input: ValueType | undefined,
  dtype: ValueType["dtype"],
  rank?: number,
): ValueType {
  if (!input) throw new ShapeError(`${op}: a required input is absent`);
  if (input.dtype !== dtype) throw new DTypeError(`${op}: expected ${dtype}, got ${text(input)}`);
  if (rank !== undefined && input.shape.length !== rank) {
    throw new ShapeError(`${op}: expected ${rank} dimensions, got ${text(input)}`);
  }
  return input;
}

/** Throws where two numbers or names that must be equal are not. */
export function same(op: string, a: string | number, b: string | number, what: string): void {
  if (a !== b) throw new ShapeError(`${op}: ${what} differ: ${a} and ${b}`);
}

/** Static dimensions, for ops that do not take step counts. */
export function fixed(op: string, type: ValueType): number[] {
  return type.shape.map((dim) => {
    if (typeof dim !== "number") throw new ShapeError(`${op}: ${text(type)} must not depend on the step`);
    return dim;
  });
}

/** Broadcasts two shapes whose outermost dimension may be a step count. */
export function broadcastDims(op: string, a: ValueType, b: ValueType): Dim[] {
  const count = [a, b].map((t) => (typeof t.shape[0] === "string" ? t.shape[0] : undefined)).find(Boolean);
  if (count === undefined) return broadcastShapes(fixed(op, a), fixed(op, b), op);
  const [lead, other] = a.shape[0] === count ? [a, b] : [b, a];
  const aligned = other.shape.length === lead.shape.length;
  const rest = aligned ? other.shape.slice(1) : other.shape;
  const fits = !aligned || other.shape[0] === count || other.shape[0] === 1;
  if (!fits || rest.length >= lead.shape.length || rest.some((dim) => typeof dim === "string")) {
    throw new ShapeError(`${op}: ${text(a)} and ${text(b)} do not broadcast`);
  }
  return [count, ...broadcastShapes(lead.shape.slice(1) as number[], rest as number[], op)];
}

/** Checks a linear layer; gives the type of its output. */
export function checkLinear(
  op: string,
  x: ValueType,
  w: ValueType | undefined,
  b: ValueType | undefined,
): ValueType {
  if (!w) throw new ShapeError(`${op}: the weight is absent`);
  const [out, inner] = fixed(op, w);
  if (w.shape.length !== 2) throw new ShapeError(`${op}: the weight must be [out, in], got ${text(w)}`);
  if (x.shape.length === 0) throw new ShapeError(`${op}: the input must have a dimension`);
  same(op, x.shape[x.shape.length - 1], inner, "input features of x and weight");
  if (b) same(op, need(op, b, "f32", 1).shape[0], out, "lengths of bias and output");
  return f32([...x.shape.slice(0, -1), out]);
}

/**
 * Checks that rows of so many heads fit a cache [pages, kvHeads, pageSize, headDim]; gives the width of a head, which a
 * cache of blocks rounds up to whole ones. The heads are the cache's own where they are absent.
 */
export function cachedHeadDim(
  op: string,
  cache: ValueType | undefined,
  rows: ValueType,
  heads?: number,
): number {
  if (cache?.shape.length !== 4) {
    throw new ShapeError(`${op}: a cache must be [pages, kvHeads, pageSize, headDim]`);
  }
  const [, kvHeads, , width] = fixed(op, cache);
  const headDim = (rows.shape[1] as number) / (heads ?? kvHeads);
  if (!Number.isInteger(headDim) || wholeBlocks(cache.dtype, headDim) !== width) {
    throw new ShapeError(`${op}: widths of ${text(rows)} and the cache ${text(cache)} differ`);
  }
  return headDim;
}

/** Slopes of ALiBi, one a head. */
export function checkSlopes(op: string, slopes: ValueType | undefined, heads: number): void {
  if (slopes) same(op, need(op, slopes, "f32", 1).shape[0], heads, "slopes and heads");
}

/** A table of biases by distance: an odd number of rows, so that there is one for the distance 0. */
export function checkRelativeBias(op: string, bias: ValueType | undefined, heads: number): void {
  if (!bias) return;
  const [distances, width] = fixed(op, need(op, bias, "f32", 2));
  same(op, width, heads, "columns of bias and heads");
  if (distances % 2 === 0) throw new ShapeError(`${op}: ${text(bias)} must have an odd number of rows`);
}

/** A mask or bias over scores, [B, heads, T, S] where the first three may be 1. */
export function checkScores(op: string, scores: ValueType | undefined, shape: readonly number[]): void {
  if (!scores) return;
  const dims = fixed(op, need(op, scores, "f32", 4));
  if (dims[3] !== shape[3] || dims.some((dim, i) => dim !== 1 && dim !== shape[i])) {
    throw new ShapeError(`${op}: ${text(scores)} does not broadcast to the scores [${shape}]`);
  }
}
