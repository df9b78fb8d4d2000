/**
 * Replaces fused ops that a backend does not claim by simpler ones, at compile time.
 *
 * @module
 */
import { UnsupportedOpError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { completeAttrs, type OpName, OPS, type RecordOp } from "./ops.ts";
import { ABSENT, type Attrs, type Op, type Program, type Value, type ValueType } from "./program.ts";

/** What lowering asks of a backend. */
export interface OpSupport {
  /** Name for errors. */
  readonly name: string;
  /** Whether there is a kernel for the op on these dtypes (of the inputs, absent ones left out). */
  supports(op: OpName, dtypes: readonly DType[]): boolean;
}

/**
 * Gives a Program of only those ops that the backend supports.
 *
 * @throws {UnsupportedOpError} where an op is neither supported nor can be lowered.
 */
export function lower(program: Program, backend: OpSupport): Program {
  const values: Value[] = [...program.values];
  const ops: Op[] = [];
  /** Results of lowered ops stand in for the recorded ones. */
  const emit = (op: Op): void => {
    const inputs = op.inputs.map((id) => (id === ABSENT ? undefined : values[id]));
    const dtypes = inputs.filter((value) => value !== undefined).map((value) => value.dtype);
    if (backend.supports(op.name, dtypes)) {
      ops.push(op);
      return;
    }
    const row = OPS[op.name];
    if (!row.lower) throw new UnsupportedOpError(backend.name, op.name, dtypes);
    const pending: Op[] = [];
    const record: RecordOp<number> = (name, ids, attrs = {}) => {
      const padded = OPS[name].inputs.map((_, i) => ids[i] ?? ABSENT);
      const complete = completeAttrs(name, attrs);
      const types = OPS[name].infer(padded.map((id) => (id === ABSENT ? undefined : values[id])), complete);
      const outputs = types.map((type) => addTemp(values, name, type));
      pending.push({ name, inputs: padded, outputs, attrs: complete });
      return outputs;
    };
    const results = row.lower(
      record,
      op.inputs.map((id) => (id === ABSENT ? undefined : id)),
      op.attrs as Attrs,
    );
    const rename = new Map(results.map((id, i) => [id, op.outputs[i]]));
    for (const step of pending) {
      const map = (id: number): number => rename.get(id) ?? id;
      emit({ ...step, inputs: step.inputs.map(map), outputs: step.outputs.map(map) });
    }
  };
  program.ops.forEach(emit);
  return { ...program, values, ops };
}

function addTemp(values: Value[], name: string, type: ValueType): number {
  const id = values.length;
  values.push({ id, kind: "temp", name, dtype: type.dtype, shape: type.shape });
  return id;
}
