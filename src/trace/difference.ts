/**
 * Trace mode: runs a Program op by op on two backends and names the first op that differs.
 *
 * Every op becomes a Program of its own. Both backends get the same inputs, those that the first one computed, so that
 * an op is judged by what it does itself and not by what came before it.
 *
 * @module
 */
import type { Backend, Bindings, Buffer, WeightHandle } from "../backends/backend.ts";
import { InvalidArgumentError } from "../errors.ts";
import { toNumbers } from "../tensor/convert.ts";
import { byteLength, type DType } from "../tensor/dtype.ts";
import { elementCount } from "../tensor/shape.ts";
import { fuse } from "../program/fuse.ts";
import { OPS } from "../program/ops.ts";
import { valueBytes } from "../program/plan.ts";
import { ABSENT, type Op, type Program, stepShape, storageOf, type Value } from "../program/program.ts";
import { StepRecord } from "../program/step.ts";

/** A backend with what it holds for a Program: weights, states, inputs (outputs are not touched). */
export interface TracedBackend {
  /** The backend. */
  readonly backend: Backend;
  /** Its handles and buffers by value name. */
  readonly bindings: Bindings;
}

/** Options of {@linkcode traceDifference}. */
export interface TraceOptions {
  /** Largest difference that passes, relative to the largest magnitude in the result (at least to 1). */
  tolerance?: number;
  /**
   * Copies the states of the first backend to the second before the step, and compares what an op writes to them. Only
   * for backends that lay out pages alike. By default both keep their own, which must come of the same steps, and a
   * wrong write is seen at the first op that reads it.
   */
  compareStates?: boolean;
}

/** The first op that differs. */
export interface TraceDifference {
  /** Position in the ops of {@linkcode TraceDifference.program}. */
  readonly index: number;
  /** The op. */
  readonly op: Op;
  /** The value in which it differs: an output, or a state that it writes to. */
  readonly value: Value;
  /** Largest difference; Infinity where one of the two is NaN. */
  readonly maxAbsDifference: number;
  /** Position of that element. */
  readonly element: number;
  /** What the first backend computed there. */
  readonly expected: number;
  /** What the second one did. */
  readonly actual: number;
  /** What was traced: the Program with what the second backend fuses fused. */
  readonly program: Program;
}

/**
 * Runs a step of a Program op by op on two backends, until an op differs. The first is the one to trust. The states of
 * both advance by the step.
 *
 * ```ts ignore
 * const difference = await traceDifference(program, trusted, suspect, step);
 * if (difference) console.log(`op ${difference.index} ${difference.op.name}: ${difference.maxAbsDifference}`);
 * ```
 */
export async function traceDifference(
  program: Program,
  trusted: TracedBackend,
  suspect: TracedBackend,
  step: StepRecord,
  { tolerance = 1e-4, compareStates = false }: TraceOptions = {},
): Promise<TraceDifference | undefined> {
  const fused = fuse(program, suspect.backend);
  const known = await readInputs(fused, trusted);
  if (compareStates) await copyStates(fused, trusted, suspect);
  for (const [index, op] of fused.ops.entries()) {
    const single = isolate(fused, op, compareStates);
    const record = partOfStep(single, step);
    const expected = await runSingle(single, trusted, record, known);
    const actual = await runSingle(single, suspect, record, known);
    for (const [id, bytes] of expected) {
      const value = fused.values[id];
      const worst = worstElement(value.dtype, bytes, get(actual, id));
      if (worst && !(worst.maxAbsDifference <= tolerance * worst.magnitude)) {
        const { magnitude: _, ...facts } = worst;
        return { index, op, value, program: fused, ...facts };
      }
      known.set(storageOf(fused, id), bytes);
    }
  }
  return undefined;
}

/** Bytes by id of the value that owns the storage. */
type KnownValues = Map<number, Uint8Array>;

function get(known: KnownValues, id: number): Uint8Array {
  const bytes = known.get(id);
  if (!bytes) throw new InvalidArgumentError(`the value ${id} of the traced Program is not computed`);
  return bytes;
}

function bufferOf({ bindings }: TracedBackend, name: string): Buffer {
  const buffer = bindings.get(name);
  if (!buffer || "spec" in buffer) throw new InvalidArgumentError(`${name} is not bound to a buffer`);
  return buffer;
}

/** Reads a whole bound buffer. */
async function readBound(
  { backend, bindings }: TracedBackend,
  name: string,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await backend.read(bufferOf({ backend, bindings }, name), 0, bytes);
  return bytes;
}

/** Inputs as the trusted backend holds them. */
async function readInputs(program: Program, trusted: TracedBackend): Promise<KnownValues> {
  const known: KnownValues = new Map();
  for (const value of program.values.filter(({ kind }) => kind === "input")) {
    known.set(value.id, await readBound(trusted, value.name, valueBytes(value, program)));
  }
  return known;
}

async function copyStates(program: Program, trusted: TracedBackend, suspect: TracedBackend): Promise<void> {
  for (const state of program.values.filter(({ kind }) => kind === "state")) {
    const bytes = await readBound(trusted, state.name, valueBytes(state, program));
    suspect.backend.write(bufferOf(suspect, state.name), 0, bytes);
  }
}

/** A Program of one op, and which value of the whole Program each of its values is. */
interface SingleOp {
  readonly program: Program;
  readonly origins: readonly number[];
  /** Ids, in the whole Program, of states that the op writes to and that are to be compared. */
  readonly mutated: readonly number[];
}

/** Makes an op a Program: temporaries that it reads become inputs, those that it writes become outputs. */
function isolate(whole: Program, op: Op, compareStates: boolean): SingleOp {
  const values: Value[] = [];
  const origins: number[] = [];
  const places = new Map<number, number>();
  const place = (id: number, isResult: boolean): number => {
    const known = places.get(id);
    if (known !== undefined || id === ABSENT) return known ?? ABSENT;
    const value = whole.values[id];
    const aliasOf = value.aliasOf === undefined ? undefined : place(value.aliasOf, isResult);
    const own = values.length;
    places.set(id, own);
    origins.push(id);
    const flows = value.kind === "temp" || value.kind === "output" || value.kind === "input";
    values.push({
      ...value,
      id: own,
      ...(aliasOf === undefined ? {} : { aliasOf }),
      ...(flows ? { kind: isResult ? "output" as const : "input" as const, name: `value${id}` } : {}),
    });
    return own;
  };
  const inputs = op.inputs.map((id) => place(id, false));
  const outputs = op.outputs.map((id) => place(id, true));
  const written = compareStates ? OPS[op.name].mutates ?? [] : [];
  const mutated = written.map((position) => storageOf(whole, op.inputs[position]));
  const program = { ...whole, name: `${whole.name}: ${op.name}`, values, ops: [{ ...op, inputs, outputs }] };
  return { program, origins, mutated };
}

/** The fields of a step record that a part of the Program has. */
function partOfStep({ program }: SingleOp, step: StepRecord): StepRecord {
  const part = new StepRecord(program);
  part.setCounts(step.rows, step.outputs);
  for (const { kind, name } of program.values) {
    if (kind === "step") part.ints(name).set(step.ints(name));
  }
  return part;
}

/** Runs one op and gives its outputs, and the states that it writes to, by their ids in the whole Program. */
async function runSingle(
  { program, origins, mutated }: SingleOp,
  { backend, bindings }: TracedBackend,
  step: StepRecord,
  known: KnownValues,
): Promise<KnownValues> {
  const own: Buffer[] = [];
  const bound = new Map<string, Buffer | WeightHandle>(bindings);
  const results: KnownValues = new Map();
  try {
    for (const value of program.values) {
      if (value.kind !== "input" && value.kind !== "output") continue;
      const buffer = backend.alloc(valueBytes(value, program));
      own.push(buffer);
      bound.set(value.name, buffer);
      if (value.kind === "input") backend.write(buffer, 0, get(known, origins[value.id]));
    }
    using executable = await backend.compile(program, bound);
    executable.run(step);
    for (const value of program.values) {
      const origin = origins[value.id];
      if (value.kind !== "output" && !mutated.includes(origin)) continue;
      const counts = { rows: step.rows, outputs: step.outputs };
      const into = new Uint8Array(byteLength(value.dtype, elementCount(stepShape(value.shape, counts))));
      await backend.read(bufferOf({ backend, bindings: bound }, value.name), 0, into);
      results.set(origin, into);
    }
    return results;
  } finally {
    for (const buffer of own) backend.free(buffer);
  }
}

/** The element that differs most, and the largest finite magnitude expected. */
function worstElement(
  dtype: DType,
  expected: Uint8Array,
  actual: Uint8Array,
):
  | (Pick<TraceDifference, "element" | "maxAbsDifference" | "expected" | "actual"> & { magnitude: number })
  | undefined {
  const [wanted, got] = [toNumbers(dtype, expected), toNumbers(dtype, actual)];
  let [element, largest, magnitude] = [-1, 0, 1];
  for (let i = 0; i < wanted.length; i++) {
    if (Number.isFinite(wanted[i])) magnitude = Math.max(magnitude, Math.abs(wanted[i]));
    if (Object.is(wanted[i], got[i]) || wanted[i] === got[i]) continue;
    const difference = Math.abs(wanted[i] - got[i]);
    // A token id that is off by one is as wrong as any other; NaN against a number is as far as can be.
    const weight = dtype === "i32" || Number.isNaN(difference) ? Infinity : difference;
    if (weight > largest) [element, largest] = [i, weight];
  }
  if (element < 0) return undefined;
  return { element, maxAbsDifference: largest, expected: wanted[element], actual: got[element], magnitude };
}
