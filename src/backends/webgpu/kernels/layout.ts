/**
 * gatherRows, copy and concat.
 *
 * @module
 */
import { normalizeAxis } from "../../../tensor/shape.ts";
import {
  byElement,
  dtypesLike,
  input,
  type KernelTable,
  product,
  reads,
  rowsOf,
  uniform,
  vectors,
  writes,
} from "../dispatch.ts";

/** The kernels that only move elements. */
export const LAYOUT: KernelTable = {
  gatherRows: {
    supports: dtypesLike("fi"),
    dispatches(view) {
      const [out] = view.outputs;
      const { rows, width } = rowsOf(out.shape);
      return [{
        shader: "layout",
        entry: "gatherRows",
        constants: { WIDTH: width },
        operands: { 1: reads(input(view, 0)), 2: writes(out), 3: reads(input(view, 1)) },
        rows,
        groups: byElement(width),
      }];
    },
  },
  copy: {
    supports: dtypesLike("f"),
    dispatches(view) {
      const [out] = view.outputs;
      const { rows, width } = rowsOf(out.shape);
      const { offset, shape, strides } = view.op.attrs;
      return [{
        shader: "layout",
        entry: "copyView",
        constants: { WIDTH: width, RANK: out.shape.length, OFFSET: offset as number },
        operands: {
          1: reads(input(view, 0)),
          2: writes(out),
          4: uniform(vectors(shape as readonly number[], strides as readonly number[])),
        },
        rows,
        groups: byElement(width),
      }];
    },
  },
  concat: {
    supports: dtypesLike("ff"),
    dispatches(view) {
      const [a, b] = [input(view, 0), input(view, 1)];
      const [out] = view.outputs;
      const axis = normalizeAxis(view.op.attrs.axis as number, out.shape.length);
      const { rows, width } = rowsOf(out.shape);
      return [{
        shader: "layout",
        entry: "concat",
        constants: {
          WIDTH: width,
          A_RUN: product(a.shape.slice(axis)),
          B_RUN: product(b.shape.slice(axis)),
        },
        operands: { 1: reads(a), 2: writes(out), 5: reads(b) },
        rows,
        groups: byElement(width),
      }];
    },
  },
};
