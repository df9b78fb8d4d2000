/**
 * The step record on the device: every field in a slot of its own, because a binding must start at a multiple of 256
 * bytes. One write brings it all.
 *
 * @module
 */
import { InvalidArgumentError } from "../../errors.ts";
import type { Program } from "../../program/program.ts";
import { type StepField, stepLayout, type StepRecord } from "../../program/step.ts";
import { SLOT_BYTES } from "./data_block.ts";
import { bindingBytes, roundUp } from "./memory.ts";

/** Offsets of the count uniforms: rows first, or outputs first. */
export const COUNT_OFFSETS = { rows: 0, outputs: SLOT_BYTES } as const;

/** The layout of step records of one Program on the device. */
export class StepBlock {
  /** Offsets in bytes by value id. */
  readonly offsets: ReadonlyMap<number, number>;
  /** Length in bytes. */
  readonly bytes: number;
  readonly #words: number;
  /** By name: where a field stands in the record, and where on the device, in words. */
  readonly #fields = new Map<string, { readonly from: StepField; readonly to: number }>();
  readonly #block: Int32Array<ArrayBuffer>;

  /** Lays out the step record of a Program. */
  constructor(program: Program) {
    const layout = stepLayout(program);
    const offsets = new Map<number, number>();
    let bytes = 2 * SLOT_BYTES;
    for (const value of program.values) {
      const from = value.kind === "step" ? layout.fields.get(value.name) : undefined;
      if (!from) continue;
      offsets.set(value.id, bytes);
      this.#fields.set(value.name, { from, to: bytes / 4 });
      bytes += roundUp(bindingBytes(4 * from.length), SLOT_BYTES);
    }
    this.offsets = offsets;
    this.bytes = bytes;
    this.#words = layout.words;
    this.#block = new Int32Array(bytes / 4);
  }

  /** The device's form of a record; valid until the next call. */
  fill(step: StepRecord): Int32Array<ArrayBuffer> {
    if (step.words.length !== this.#words) {
      throw new InvalidArgumentError(
        `the step record has ${step.words.length} words and this Program's has ${this.#words}; ` +
          `make it from the Program that was compiled`,
      );
    }
    this.#block.set([step.rows, step.outputs], 0);
    this.#block.set([step.outputs, step.rows], COUNT_OFFSETS.outputs / 4);
    for (const { from, to } of this.#fields.values()) {
      this.#block.set(step.words.subarray(from.offset, from.offset + from.length), to);
    }
    return this.#block;
  }

  /** Where a field that has so many words begins, in bytes. */
  offset(name: string, words: number): number {
    const field = this.#fields.get(name);
    if (!field || words > field.from.length) {
      throw new InvalidArgumentError(`the step record has no field ${name} of ${words} words`);
    }
    return 4 * field.to;
  }
}
