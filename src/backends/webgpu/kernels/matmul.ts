/**
 * matmul of dense F32 tensors.
 *
 * @module
 */
import { broadcastStrides, contiguousStrides } from "../../../tensor/shape.ts";
import {
  byElement,
  dtypesLike,
  input,
  type KernelTable,
  product,
  reads,
  uniform,
  vectors,
  writes,
} from "../dispatch.ts";

/** The dense matrix product. */
export const MATMUL: KernelTable = {
  matmul: {
    supports: dtypesLike("ff"),
    dispatches(view) {
      const [a, b] = [input(view, 0), input(view, 1)];
      const [out] = view.outputs;
      const [x, y] = [a, b].map((value) => value.shape.map((dim) => product([dim])));
      // As in PyTorch, a vector is a row on the left and a column on the right.
      const rows = x.length > 1 ? x[x.length - 2] : 1;
      const columns = y.length > 1 ? y[y.length - 1] : 1;
      const batch = out.shape.slice(0, out.shape.length - (x.length > 1 ? 1 : 0) - (y.length > 1 ? 1 : 0))
        .map((dim) => product([dim]));
      const strides = [x, y].map((shape) => {
        const own = shape.slice(0, -2);
        return broadcastStrides(own, contiguousStrides(own), batch);
      });
      return [{
        shader: "matmul",
        entry: "matmul",
        constants: { ROWS: rows, INNER: x[x.length - 1], COLUMNS: columns, RANK: batch.length },
        operands: { 1: uniform(vectors(batch, ...strides)), 2: reads(a), 3: reads(b), 4: writes(out) },
        rows: product(batch),
        groups: byElement(rows * columns),
      }];
    },
  },
};
