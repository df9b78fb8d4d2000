/** Cases of every dtype that a weight may have beyond those of `matmul.ts`. @module */
import { type DType, WEIGHT_DTYPES } from "../../../src/tensor/dtype.ts";
import { integers, packed } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { overInputs, PARTIAL_STEP } from "./build.ts";
import { LINEAR_DTYPES, OPTIONAL_DTYPES } from "./matmul.ts";

/** Kinds with kernels of their own in the core. */
const K_KINDS: readonly DType[] = ["q2_k", "q3_k", "q4_k", "q5_k", "q6_k"];
/** Kinds that every backend holds as F32. */
const NUMBERS: readonly DType[] = ["f64", "i8", "u8", "i16", "i32", "i64"];
/** Kinds with a scale for each 16 elements: where they become blocks of 32, they are rounded to 8 bits once more. */
const SPANS_OF_16: readonly DType[] = ["q2_k", "q3_k", "q6_k", "iq2_xs", "iq2_s", "iq1_m", "nvfp4"];

/** The dtypes of these cases. */
export const QUANT_DTYPES: readonly DType[] = WEIGHT_DTYPES.filter(
  (dtype) => ![...LINEAR_DTYPES, ...OPTIONAL_DTYPES].includes(dtype),
);

/** Which backends hold a weight of the dtype in another, and how near its values remain. */
function transcoding(dtype: DType): Partial<OpCase> {
  if (NUMBERS.includes(dtype)) return {};
  return {
    transcodedOn: K_KINDS.includes(dtype) ? ["webgpu"] : ["wasm", "native", "webgpu"],
    nmse: SPANS_OF_16.includes(dtype) ? 5e-5 : 1e-6,
  };
}

/** A linear of M rows; what it adds to the error of the weight is that of the activations. */
function linear(dtype: DType, m: number, k: number, n: number): OpCase {
  return overInputs(
    `linear ${dtype} M=${m} K=${k} N=${n}`,
    { x: ["rows", k] },
    (g, [x]) => g.linear(x, g.weight("w", dtype, [n, k])),
    {
      capacity: { rows: m + 3, outputs: 0 },
      counts: { rows: m, outputs: 0 },
      fillings: { w: packed(dtype, n * k, m + k, 0.5) },
      ...transcoding(dtype),
      quantized: !NUMBERS.includes(dtype),
      nmse: undefined,
    },
  );
}

function experts(dtype: DType): OpCase {
  return overInputs(
    `matmulExperts ${dtype}`,
    { x: ["rows", 256] },
    (g, [x]) => g.matmulExperts(x, g.weight("w", dtype, [4 * 20, 256]), g.step("ids", "i32", ["rows", 2]), 4),
    {
      ...PARTIAL_STEP,
      fillings: { ids: integers(10, 4, 9), w: packed(dtype, 4 * 20 * 256, 3, 0.5) },
      ...transcoding(dtype),
      quantized: !NUMBERS.includes(dtype),
      nmse: undefined,
    },
  );
}

function embed(dtype: DType): OpCase {
  return {
    name: `embed ${dtype}`,
    ...PARTIAL_STEP,
    record(g) {
      g.output("y", g.embed(g.step("ids", "i32", ["rows"]), g.weight("w", dtype, [50, 512])));
    },
    fillings: { ids: Int32Array.of(49, 0, 7, 7, 31), w: packed(dtype, 50 * 512, 3) },
    tolerance: 0,
    ...transcoding(dtype),
  };
}

/** Linears, experts and embeddings by weight dtype. */
export const quantCases: readonly OpCase[] = QUANT_DTYPES.flatMap((dtype) => [
  linear(dtype, 1, 256, 65),
  linear(dtype, 2, 768, 33),
  linear(dtype, 5, 512, 80),
  linear(dtype, 33, 512, 67),
  experts(dtype),
  embed(dtype),
]);
