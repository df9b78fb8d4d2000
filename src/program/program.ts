/**
 * A Program: a recorded list of ops over typed values, with no backend in sight. What changes from step to step is
 * data in a step record (see `step.ts`), never a new Program.
 *
 * @module
 */
import type { DType } from "../tensor/dtype.ts";
import type { OpName } from "./ops.ts";

/**
 * One dimension: a fixed length, or a count that each step brings. `"rows"` is how many rows (tokens) this step has,
 * `"outputs"` how many of them need logits; both are bounded by the Program's capacity. Only the outermost dimension
 * may be a step count.
 */
export type Dim = number | "rows" | "outputs";

/**
 * Where a value lives.
 *
 * - `weight`: read-only, uploaded and packed by the backend, bound by name
 * - `constant`: read-only, its bytes travel inside the Program
 * - `state`: kept from step to step (KV pages), bound by name
 * - `input`, `output`: buffers bound by name
 * - `step`: a field of the step record
 * - `temp`: lives in the arena for part of one step
 * - `alias`: another shape over the storage of `aliasOf`
 */
export type ValueKind = "weight" | "constant" | "state" | "input" | "output" | "step" | "temp" | "alias";

/** All value kinds, in order of their code in the binary encoding. */
export const VALUE_KINDS: readonly ValueKind[] = [
  "weight",
  "constant",
  "state",
  "input",
  "output",
  "step",
  "temp",
  "alias",
];

/** Element type and shape of a value. */
export interface ValueType {
  /** Element type. */
  readonly dtype: DType;
  /** Dimensions, outermost first. */
  readonly shape: readonly Dim[];
}

/** A typed value of a Program. Its position in `Program.values` is its id. */
export interface Value extends ValueType {
  /** Position in `Program.values`. */
  readonly id: number;
  /** Where the value lives. */
  readonly kind: ValueKind;
  /** Unique among the bound values; for temps a hint for people. */
  readonly name: string;
  /** The elements of a constant. */
  readonly data?: Float32Array | Int32Array;
  /** The value whose storage an alias shares. */
  readonly aliasOf?: number;
}

/** Value of an op's attribute. */
export type AttrValue = number | boolean | string | readonly number[];

/** Attributes of an op by name, in the order of the op table. */
export type Attrs = Readonly<Record<string, AttrValue>>;

/** Stands for an optional input that is not given. */
export const ABSENT: -1 = -1;

/** One recorded operation. */
export interface Op {
  /** Row of the op table. */
  readonly name: OpName;
  /** Value ids; `ABSENT` for an optional input that is not given. */
  readonly inputs: readonly number[];
  /** Value ids. */
  readonly outputs: readonly number[];
  /** Attributes as the op table lists them. */
  readonly attrs: Attrs;
}

/** The most rows and outputs one step may have. */
export interface Capacity {
  /** Rows (tokens) of a step. */
  readonly rows: number;
  /** Rows of a step whose logits are computed. */
  readonly outputs: number;
}

/** A recorded computation. */
export interface Program {
  /** A name for people. */
  readonly name: string;
  /** Bounds for the step counts. */
  readonly capacity: Capacity;
  /** All values; a value's id is its position. */
  readonly values: readonly Value[];
  /** The ops in the order in which they run. */
  readonly ops: readonly Op[];
}

/** The most elements a value can have: step counts are replaced by the capacity. */
export function capacityElements(shape: readonly Dim[], capacity: Capacity): number {
  return shape.reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : capacity[dim]), 1);
}

/** The shape that a value has in a step with these counts. */
export function stepShape(shape: readonly Dim[], counts: Capacity): number[] {
  return shape.map((dim) => (typeof dim === "number" ? dim : counts[dim]));
}

/** Follows aliases to the value that owns the storage. */
export function storageOf(program: Pick<Program, "values">, id: number): number {
  let value = program.values[id];
  while (value.aliasOf !== undefined) value = program.values[value.aliasOf];
  return value.id;
}
