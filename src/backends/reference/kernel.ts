/**
 * What a reference kernel is: a function over the inputs, outputs and attributes of one op in one step.
 *
 * @module
 */
import { InvalidProgramError } from "../../errors.ts";
import type { Attrs } from "../../program/program.ts";
import type { HostTensor } from "./host_tensor.ts";

/** One op of a running step. */
export class KernelCall {
  /** Attributes as the op table lists them. */
  readonly attrs: Attrs;
  readonly #inputs: readonly (HostTensor | undefined)[];
  readonly #outputs: readonly HostTensor[];

  /** A call with its operands resolved. */
  constructor(
    inputs: readonly (HostTensor | undefined)[],
    outputs: readonly HostTensor[],
    attrs: Attrs,
  ) {
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.attrs = attrs;
  }

  /** A required input. */
  input(position: number): HostTensor {
    const tensor = this.#inputs[position];
    if (!tensor) throw new InvalidProgramError(`the op's input ${position} is absent`);
    return tensor;
  }
  /** An input that may be absent. */
  optional(position: number): HostTensor | undefined {
    return this.#inputs[position];
  }
  /** An output. */
  output(position = 0): HostTensor {
    return this.#outputs[position];
  }
  /** A numeric attribute. */
  number(name: string): number {
    return this.attrs[name] as number;
  }
  /** A list attribute. */
  numbers(name: string): readonly number[] {
    return this.attrs[name] as readonly number[];
  }
  /** A flag. */
  flag(name: string): boolean {
    return this.attrs[name] as boolean;
  }
}

/** Computes one op: reads the inputs, fills the outputs. */
export type Kernel = (call: KernelCall) => void;
