/**
 * What weights become in the core: those that it has no layout for are transcoded while they are uploaded.
 *
 * @module
 */
import type { Program } from "../../program/program.ts";
import type { DType } from "../../tensor/dtype.ts";
import { TRANSCODED } from "../../tensor/quant/transcode.ts";

/** The dtype that the core holds a packed weight in. */
export function heldDType(dtype: DType): DType {
  return TRANSCODED[dtype] ?? dtype;
}

/** The Program as the core sees it. */
export function heldProgram(program: Program): Program {
  return {
    ...program,
    values: program.values.map((value) =>
      value.kind === "weight" ? { ...value, dtype: heldDType(value.dtype) } : value
    ),
  };
}
