/**
 * The step record: one block of 32-bit words that tells a Program what this step is.
 *
 * Words 0 and 1 hold the row and output counts, words 2 and 3 are reserved; then the `step` values of the Program
 * follow in order of their ids, each at its full capacity.
 *
 * @module
 */
import { InvalidArgumentError, OutOfBoundsError } from "../errors.ts";
import { capacityElements, type Program } from "./program.ts";

/** Words before the first field. */
export const STEP_HEADER_WORDS = 4;

/** Where a field stands in the record. */
export interface StepField {
  /** Offset in 32-bit words. */
  readonly offset: number;
  /** Length in 32-bit words. */
  readonly length: number;
}

/** Where each step value of a Program stands in the record. */
export interface StepLayout {
  /** Length of the whole record in 32-bit words. */
  readonly words: number;
  /** Fields by value name. */
  readonly fields: ReadonlyMap<string, StepField>;
  /** Offsets in words by value id. */
  readonly offsets: ReadonlyMap<number, number>;
}

/** Lays out the step record of a Program. */
export function stepLayout(program: Program): StepLayout {
  const fields = new Map<string, StepField>();
  const offsets = new Map<number, number>();
  let words = STEP_HEADER_WORDS;
  for (const value of program.values) {
    if (value.kind !== "step") continue;
    const length = capacityElements(value.shape, program.capacity);
    fields.set(value.name, { offset: words, length });
    offsets.set(value.id, words);
    words += length;
  }
  return { words, fields, offsets };
}

/** A step record that the host fills and a backend reads. One is made per Program and used again each step. */
export class StepRecord {
  /** The record as signed words. */
  readonly words: Int32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  readonly #layout: StepLayout;
  readonly #program: Program;

  /** Makes an empty record (no rows) for a Program. */
  constructor(program: Program) {
    this.#program = program;
    this.#layout = stepLayout(program);
    this.words = new Int32Array(this.#layout.words);
    this.#floats = new Float32Array(this.words.buffer);
  }

  /** Sets how many rows this step has, and how many of them need logits. */
  setCounts(rows: number, outputs: number): void {
    const { capacity } = this.#program;
    if (rows < 0 || rows > capacity.rows || outputs < 0 || outputs > capacity.outputs) {
      throw new OutOfBoundsError(
        `a step of ${rows} rows and ${outputs} outputs exceeds the capacity of ${capacity.rows} and ${capacity.outputs}`,
      );
    }
    this.words[0] = rows;
    this.words[1] = outputs;
  }

  /** Row count of this step. */
  get rows(): number {
    return this.words[0];
  }
  /** Output count of this step. */
  get outputs(): number {
    return this.words[1];
  }

  /** The words of an I32 field, to be filled in place. */
  ints(name: string): Int32Array {
    const { offset, length } = this.#field(name);
    return this.words.subarray(offset, offset + length);
  }

  /** Where a field begins, in 32-bit words. */
  offset(name: string): number {
    return this.#field(name).offset;
  }

  /** The words of an F32 field, to be filled in place. */
  floats(name: string): Float32Array {
    const { offset, length } = this.#field(name);
    return this.#floats.subarray(offset, offset + length);
  }

  #field(name: string): StepField {
    const field = this.#layout.fields.get(name);
    if (!field) throw new InvalidArgumentError(`the Program has no step field ${name}`);
    return field;
  }
}
