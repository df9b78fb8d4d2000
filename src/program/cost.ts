/**
 * What an op costs in principle: multiply-adds, and bytes of weights and caches that must be read.
 *
 * @module
 */
import { byteLength } from "../tensor/dtype.ts";
import { OPS } from "./ops.ts";
import { ABSENT, type Capacity, type Op, type Program, stepShape, type Value } from "./program.ts";

/** Work of one op in one step. */
export interface OpCost {
  /** Multiply-adds. */
  readonly multiplyAdds: number;
  /** Bytes of weights and KV cache read, and of activations read and written. */
  readonly bytes: number;
}

/**
 * Counts the work of an op for a step of these counts. `keys` is the sum over rows of the keys that each row sees;
 * attention over the cache costs by it.
 */
export function opCost(program: Program, op: Op, counts: Capacity, keys: number): OpCost {
  const values = op.inputs.map((id) => (id === ABSENT ? undefined : program.values[id]));
  const size = (value: Value | undefined): number =>
    value ? stepShape(value.shape, counts).reduce((product, dim) => product * dim, 1) : 0;
  const outputs = op.outputs.map((id) => program.values[id]);
  const written = outputs.reduce((sum, value) => sum + 4 * size(value), 0);
  if (op.name === "pagedAttention") {
    const [query, cache] = [values[0], values[1]];
    const [, kvHeads, , headDim] = (cache?.shape ?? []) as number[];
    const heads = op.attrs.heads as number;
    const cached = cache ? 2 * byteLength(cache.dtype, keys * kvHeads * headDim) : 0;
    return { multiplyAdds: 2 * keys * heads * headDim, bytes: cached + 4 * size(query) + written };
  }
  const packed = new Set(OPS[op.name].packed ?? []);
  const rows = size(values[0]) / Math.max((values[0]?.shape.at(-1) as number) || 1, 1);
  let [multiplyAdds, bytes] = [0, written];
  values.forEach((value, i) => {
    if (!value || OPS[op.name].mutates?.includes(i)) return;
    if (!packed.has(i)) bytes += byteLength(value.dtype, size(value));
    else if (op.name === "embed") bytes += written;
    else {
      const { experts } = op.attrs as { experts?: number };
      const products = experts === undefined ? rows : size(values[2]) / experts;
      // Of experts, those are read that a row has chosen: at most as many as there are choices.
      const read = experts === undefined ? 1 : Math.min(products, 1);
      bytes += byteLength(value.dtype, size(value)) * read;
      multiplyAdds += products * size(value);
    }
  });
  if (op.name === "matmul") multiplyAdds = size(outputs[0]) * ((values[0]?.shape.at(-1) as number) ?? 0);
  return { multiplyAdds, bytes };
}
