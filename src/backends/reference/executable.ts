/**
 * Runs a planned Program op by op in host memory.
 *
 * @module
 */
import { InvalidArgumentError, InvalidProgramError } from "../../errors.ts";
import { lifetimes, type Plan, valueBytes } from "../../program/plan.ts";
import {
  ABSENT,
  type Capacity,
  type Op,
  type Program,
  stepShape,
  storageOf,
  type Value,
} from "../../program/program.ts";
import { type StepLayout, stepLayout, type StepRecord } from "../../program/step.ts";
import { byteLength } from "../../tensor/dtype.ts";
import { elementCount } from "../../tensor/shape.ts";
import type { Bindings, Executable } from "../backend.ts";
import { ReferenceBuffer } from "./buffer.ts";
import { HostTensor } from "./host_tensor.ts";
import { KernelCall } from "./kernel.ts";
import { KERNELS } from "./kernels.ts";
import { ReferenceWeight } from "./weights.ts";

/**
 * A compiled Program. Each temporary is its own array, made at the step's own shape and dropped after its last use:
 * no arena, so that a fault in the planning of arenas shows as a difference from this backend.
 */
export class ReferenceExecutable implements Executable {
  /** Bytes of the planned arena: what the temporaries take at full capacity. */
  readonly arenaBytes: number;
  readonly #program: Program;
  readonly #layout: StepLayout;
  /** Values by id that are there before a step begins. */
  readonly #bound = new Map<number, ReferenceWeight | Uint8Array<ArrayBuffer>>();
  /** Temporaries that are not used after the op at this position. */
  readonly #lastUses = new Map<number, number[]>();

  /** Resolves the bindings of a planned Program. */
  constructor(plan: Plan, bindings: Bindings) {
    this.arenaBytes = plan.arenaBytes;
    this.#program = plan.program;
    this.#layout = stepLayout(plan.program);
    for (const value of plan.program.values) this.#bind(value, bindings);
    for (const { id, last } of lifetimes(plan.program)) {
      this.#lastUses.set(last, [...(this.#lastUses.get(last) ?? []), id]);
    }
  }

  /** Runs one step, at once. */
  run(step: StepRecord): void {
    if (step.words.length !== this.#layout.words) {
      throw new InvalidArgumentError(`the step record is not one of the Program ${this.#program.name}`);
    }
    const temporaries = new Map<number, Uint8Array<ArrayBuffer>>();
    this.#program.ops.forEach((op, position) => {
      this.#runOp(op, step, temporaries);
      for (const id of this.#lastUses.get(position) ?? []) temporaries.delete(id);
    });
  }

  /** Nothing is held. */
  [Symbol.dispose](): void {
    this.#bound.clear();
  }

  #runOp(op: Op, step: StepRecord, temporaries: Map<number, Uint8Array<ArrayBuffer>>): void {
    const kernel = KERNELS[op.name];
    if (!kernel) throw new InvalidProgramError(`${op.name} was not lowered`);
    const resolve = (id: number): HostTensor => this.#tensor(id, step, temporaries);
    const inputs = op.inputs.map((id) => (id === ABSENT ? undefined : resolve(id)));
    kernel(new KernelCall(inputs, op.outputs.map(resolve), op.attrs));
  }

  #tensor(id: number, step: StepRecord, temporaries: Map<number, Uint8Array<ArrayBuffer>>): HostTensor {
    const { dtype, shape } = this.#program.values[id];
    const counts: Capacity = { rows: step.rows, outputs: step.outputs };
    const dims = stepShape(shape, counts);
    const root = storageOf(this.#program, id);
    const bound = this.#bound.get(root);
    if (bound instanceof ReferenceWeight) {
      return id === root ? bound.tensor : bound.tensor.reshape(dims);
    }
    if (bound) return new HostTensor(dtype, dims, bound);
    const offset = this.#layout.offsets.get(root);
    if (offset !== undefined) {
      return new HostTensor(dtype, dims, new Uint8Array(step.words.buffer, offset * 4));
    }
    let bytes = temporaries.get(root);
    if (!bytes) temporaries.set(root, bytes = new Uint8Array(byteLength(dtype, elementCount(dims))));
    return new HostTensor(dtype, dims, bytes);
  }

  #bind(value: Value, bindings: Bindings): void {
    const { id, kind, name, data } = value;
    if (kind === "constant") {
      if (!data) throw new InvalidProgramError(`the constant ${name} has no data`);
      const copy = data.slice();
      this.#bound.set(id, new Uint8Array(copy.buffer));
    } else if (kind === "weight") {
      const weight = bindings.get(name);
      if (!(weight instanceof ReferenceWeight) || weight.spec.shape.join() !== value.shape.join()) {
        throw new InvalidArgumentError(
          `the weight ${name} [${value.shape}] is not bound to a weight like it`,
        );
      }
      this.#bound.set(id, weight);
    } else if (kind === "state" || kind === "input" || kind === "output") {
      const buffer = bindings.get(name);
      const needed = valueBytes(value, this.#program);
      if (!(buffer instanceof ReferenceBuffer) || buffer.bytes < needed) {
        throw new InvalidArgumentError(
          `${kind} ${name} is not bound to a buffer of at least ${needed} bytes`,
        );
      }
      this.#bound.set(id, buffer.data);
    }
  }
}
