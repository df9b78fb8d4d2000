/** Cases of `embed`, `gatherRows`, `copy` and `concat`. @module */
import type { DType } from "../../../src/tensor/dtype.ts";
import { integers, packed } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { ofOp, PARTIAL_STEP } from "./build.ts";

const EMBED_DTYPES: readonly DType[] = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1"];

/** Token ids come in the step record. */
function embed(dtype: DType, width: number, scale: number): OpCase {
  return {
    name: `embed ${dtype} width ${width} scale ${scale}`,
    ...PARTIAL_STEP,
    record(g) {
      g.output("y", g.embed(g.step("ids", "i32", ["rows"]), g.weight("w", dtype, [50, width]), scale));
    },
    fillings: { ids: Int32Array.of(49, 0, 7, 7, 31), w: packed(dtype, 50 * width, 3) },
  };
}

const embeds = [
  ...EMBED_DTYPES.flatMap((dtype) => [embed(dtype, 64, 1), embed(dtype, 96, 8)]),
  embed("f32", 5, 1),
  embed("f16", 7, 0.5),
  ofOp("embed", "ids of two dimensions", {}, {}, {
    record(g) {
      g.output("y", g.embed(g.input("ids", "i32", [2, 3]), g.weight("w", "f32", [9, 5])));
    },
    fillings: { ids: integers(6, 9, 2), w: packed("f32", 45, 3) },
  }),
];

const gathers: readonly OpCase[] = [
  {
    name: "gatherRows outputs of rows",
    ...PARTIAL_STEP,
    record(g) {
      g.output("y", g.gatherRows(g.input("x", "f32", ["rows", 13]), g.step("at", "i32", ["outputs"])));
    },
    fillings: { x: packedRows(8 * 13), at: Int32Array.of(4, 1) },
  },
  {
    name: "gatherRows fixed",
    record(g) {
      g.output("y", g.gatherRows(g.input("x", "f32", [6, 5]), g.input("at", "i32", [4])));
    },
    fillings: { x: packedRows(30), at: Int32Array.of(5, 0, 5, 2) },
  },
];

function packedRows(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => i / 8);
}

const copies = [
  ofOp("copy", "permuted", { x: [2, 3, 4] }, { offset: 0, shape: [4, 2, 3], strides: [1, 12, 4] }),
  ofOp("copy", "sliced", { x: [5, 7] }, { offset: 8, shape: [3, 4], strides: [7, 1] }),
  ofOp("copy", "stepped", { x: [40] }, { offset: 3, shape: [9], strides: [4] }),
  ofOp("copy", "repeated", { x: [6] }, { offset: 1, shape: [3, 5], strides: [0, 1] }),
  ofOp("copy", "backwards", { x: [6] }, { offset: 5, shape: [6], strides: [-1] }),
  ofOp("copy", "scalar", { x: [6] }, { offset: 4, shape: [], strides: [] }),
  ofOp("copy", "nothing", { x: [6] }, { offset: 0, shape: [0, 3], strides: [3, 1] }),
  ofOp("copy", "of rank 6", { x: [2, 3, 2, 2, 3, 2] }, {
    offset: 0,
    shape: [2, 3, 2, 2, 3, 2],
    strides: [1, 2, 6, 12, 24, 72],
  }),
];

const concats = [
  ofOp("concat", "[2,3] [2,2] axis 1", { a: [2, 3], b: [2, 2] }, { axis: 1 }),
  ofOp("concat", "[2,3] [5,3] axis 0", { a: [2, 3], b: [5, 3] }, { axis: 0 }),
  ofOp("concat", "[2,3,4] [2,1,4] axis -2", { a: [2, 3, 4], b: [2, 1, 4] }, { axis: -2 }),
  ofOp("concat", "[0] [3]", { a: [0], b: [3] }, { axis: 0 }),
];

/** Embeddings, rows by index, strided copies, concatenation. */
export const rowCases: readonly OpCase[] = [...embeds, ...gathers, ...copies, ...concats];
