/**
 * Where every value of a Program lies on the device.
 *
 * @module
 */
import {
  InvalidArgumentError,
  InvalidProgramError,
  OutOfBoundsError,
  OutOfMemoryError,
} from "../../errors.ts";
import { lifetimes, valueBytes } from "../../program/plan.ts";
import { ABSENT, type Dim, type Op, type Program, storageOf, type Value } from "../../program/program.ts";
import type { Bindings } from "../backend.ts";
import { DataBlock, type Place } from "./data_block.ts";
import type { Operand, OpView } from "./dispatch.ts";
import { bindingBytes, type DeviceMemory, webGpuBuffer } from "./memory.ts";
import { COUNT_OFFSETS, StepBlock } from "./step_block.ts";
import { assignTemporaries } from "./temporaries.ts";
import { WebGpuWeight } from "./weights.ts";

/** Places of the values of one Program. */
export class Places {
  /** The step record. */
  readonly step: StepBlock;
  readonly #program: Program;
  readonly #bindings: Bindings;
  readonly #data = new DataBlock();
  readonly #dataOffsets = new Map<Value | ArrayBufferView, number>();
  readonly #slots: ReadonlyMap<number, number>;
  readonly #sizes: readonly number[];
  readonly #buffers: GPUBuffer[] = [];
  #allocated: { step: GPUBuffer; data: GPUBuffer; temporaries: GPUBuffer[] } | undefined;

  /** Decides where things go; nothing is allocated yet. */
  constructor(program: Program, bindings: Bindings) {
    this.#program = program;
    this.#bindings = bindings;
    this.step = new StepBlock(program);
    const { sizes, slots } = assignTemporaries(lifetimes(program));
    this.#sizes = sizes;
    this.#slots = slots;
  }

  /** Buffers that this allocated. */
  get buffers(): readonly GPUBuffer[] {
    return this.#buffers;
  }

  /** An op with its values. */
  view(op: Op): OpView {
    const valueAt = (id: number): Value | undefined => (id === ABSENT ? undefined : this.#program.values[id]);
    return {
      op,
      inputs: op.inputs.map(valueAt),
      outputs: op.outputs.map((id) => this.#program.values[id]),
      layoutOf: (weight) => this.#weight(weight).layout,
    };
  }

  /** Takes up the data of an operand, so that it gets a place. */
  collect(operand: Operand): void {
    if (operand.kind === "absent") return;
    const { key, data } = operand.kind === "data"
      ? { key: operand.data, data: operand.data }
      : { key: this.#root(operand.value), data: this.#root(operand.value).data };
    if (operand.kind === "value" && this.#root(operand.value).kind !== "constant") return;
    if (!data) throw new InvalidProgramError(`the constant ${(key as Value).name} has no data`);
    if (!this.#dataOffsets.has(key)) this.#dataOffsets.set(key, this.#data.add(data));
  }

  /** Takes up a row count. */
  collectCount(rows: Dim): void {
    if (typeof rows === "number") this.#data.addCount(rows);
  }

  /** Allocates; may be called once, after everything was collected. */
  allocate(gpu: GPUDevice, memory: DeviceMemory): void {
    const { name } = this.#program;
    const take = (bytes: number, what: string): GPUBuffer => {
      const buffer = memory.take(bytes, `${what} of ${name}`);
      this.#buffers.push(buffer);
      return buffer;
    };
    const temporaries = this.#sizes.map((bytes) => take(bytes, "a temporary"));
    const step = take(this.step.bytes, "the step record");
    const data = this.#data.finish(gpu, memory, `the constants of ${name}`);
    this.#buffers.push(data);
    this.#allocated = { step, data, temporaries };
  }

  /** Where the uniform of a row count lies. */
  count(rows: Dim): Place {
    const { step, data } = this.#memory();
    return typeof rows === "number"
      ? { buffer: data, offset: this.#data.addCount(rows), size: 16 }
      : { buffer: step, offset: COUNT_OFFSETS[rows], size: 16 };
  }

  /** Where an operand lies. */
  place(operand: Operand): Place {
    const { data } = this.#memory();
    if (operand.kind === "absent") return { buffer: data, offset: 0, size: bindingBytes(0) };
    if (operand.kind === "data") {
      const size = bindingBytes(operand.data.byteLength);
      return { buffer: data, offset: this.#dataOffsets.get(operand.data) ?? 0, size };
    }
    return this.#valuePlace(operand.value);
  }

  #valuePlace(value: Value): Place {
    const { step, data, temporaries } = this.#memory();
    const root = this.#root(value);
    const size = bindingBytes(valueBytes(root, this.#program));
    switch (root.kind) {
      case "temp":
        return { buffer: temporaries[this.#slots.get(root.id) ?? 0], offset: 0, size };
      case "step":
        return { buffer: step, offset: this.step.offsets.get(root.id) ?? 0, size };
      case "constant":
        return { buffer: data, offset: this.#dataOffsets.get(root) ?? 0, size };
      case "weight": {
        const { gpu, layout } = this.#weight(root);
        return { buffer: gpu, offset: 0, size: bindingBytes(layout.bytes) };
      }
      default:
        return { buffer: this.#bound(root).gpu, offset: 0, size };
    }
  }

  #bound(value: Value): ReturnType<typeof webGpuBuffer> {
    const buffer = webGpuBuffer(this.#binding(value), `${value.kind} ${value.name}`);
    const needed = valueBytes(value, this.#program);
    if (buffer.bytes < needed) {
      throw new OutOfBoundsError(
        `${value.kind} ${value.name} needs ${needed} bytes and is bound to a buffer of ${buffer.bytes}`,
      );
    }
    return buffer;
  }

  #weight(value: Value): WebGpuWeight {
    const weight = this.#binding(value);
    if (!(weight instanceof WebGpuWeight)) {
      throw new InvalidArgumentError(`weight ${value.name} was not uploaded to this backend`);
    }
    if (weight.spec.shape.join() !== value.shape.join()) {
      throw new InvalidArgumentError(
        `weight ${value.name} was uploaded as [${weight.spec.shape}] and the Program wants [${value.shape}]`,
      );
    }
    return weight;
  }

  #binding(value: Value): NonNullable<ReturnType<Bindings["get"]>> {
    const bound = this.#bindings.get(value.name);
    if (!bound) throw new InvalidArgumentError(`${value.kind} ${value.name} is not bound`);
    return bound;
  }

  #root(value: Value): Value {
    return this.#program.values[storageOf(this.#program, value.id)];
  }

  #memory(): { step: GPUBuffer; data: GPUBuffer; temporaries: GPUBuffer[] } {
    if (!this.#allocated) throw new InvalidProgramError("places were asked for before they were allocated");
    return this.#allocated;
  }

  /** The step record's buffer. */
  get stepBuffer(): GPUBuffer {
    return this.#memory().step;
  }
}

/** Throws where a binding is longer than the device allows. */
export function checkBinding(place: Place, limit: number, what: string): void {
  if (place.size > limit) {
    throw new OutOfMemoryError({ required: place.size, available: limit, what: `the binding of ${what}` });
  }
}
