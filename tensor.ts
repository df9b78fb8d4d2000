/**
 * Tensor math on the same ops, kernels and backends that models run on.
 *
 * ```ts
 * import { Tensor } from "@llmforge/llmforge/tensor";
 * const a = Tensor.from([1, 2, 3, 4], [2, 2]);
 * console.log(await a.matmul(a.transpose()).softmax().data());
 * ```
 *
 * @module
 */
import { selectBackend } from "./src/backends/select.ts";
import { setDefaultBackend } from "./src/eager/default_backend.ts";

setDefaultBackend(async () => (await selectBackend("auto")).backend);

export { type Operand, type Range, type ReduceOptions, Tensor } from "./src/eager/tensor.ts";
export { type BackendFactory, setDefaultBackend } from "./src/eager/default_backend.ts";
export type { Shape } from "./src/tensor/shape.ts";
export { type DType, DTYPES } from "./src/tensor/dtype.ts";
export type * from "./src/backends/backend.ts";
export { type BackendOptions, createBackend } from "./src/backends/select.ts";
export {
  type AttrKind,
  type OpName,
  type OpRow,
  OPS,
  type RecordOp,
  type Reduction,
  REDUCTIONS,
} from "./src/program/ops.ts";
export type * from "./src/program/program.ts";
export { StepRecord } from "./src/program/step.ts";
export { Recorder, type Ref } from "./src/program/recorder.ts";
export { explain } from "./src/program/explain.ts";
