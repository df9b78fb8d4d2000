/**
 * A compiled Program with everything that it is bound to, filled from plain arrays.
 *
 * @module
 */
import type { Backend, Buffer, Executable, WeightHandle, WeightSource } from "../../src/backends/backend.ts";
import { packedWeights, valueBytes } from "../../src/program/plan.ts";
import { type Capacity, type Program, stepShape, type Value } from "../../src/program/program.ts";
import { StepRecord } from "../../src/program/step.ts";
import { byteLength, type DType } from "../../src/tensor/dtype.ts";
import { elementCount } from "../../src/tensor/shape.ts";

/** Elements in a dtype that JavaScript has no array for. */
export interface Packed {
  /** Element type. */
  readonly dtype: DType;
  /** The elements as they stand in a file. */
  readonly bytes: Uint8Array;
}

/** What a bound value may be filled with. */
export type Filling = Float32Array | Int32Array | Packed;

/** Fillings by value name. */
export type Fillings = Readonly<Record<string, Filling>>;

/** With this byte outputs are filled before a step, so that a write past the step's rows is seen. */
const SENTINEL = 0x5a;

/** A weight source over bytes in memory. */
export function memorySource(dtype: DType, bytes: Uint8Array): WeightSource {
  return {
    dtype,
    byteLength: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
    readSync: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
  };
}

/** The bytes of a filling. */
export function fillingBytes(filling: Filling): Uint8Array {
  return "dtype" in filling
    ? filling.bytes
    : new Uint8Array(filling.buffer, filling.byteOffset, filling.byteLength);
}

/** A Program that is ready to run. */
export class Rig {
  /** The Program as it was recorded. */
  readonly program: Program;
  /** The record of the next step. */
  readonly step: StepRecord;
  readonly #backend: Backend;
  readonly #bindings: Map<string, Buffer | WeightHandle>;
  readonly #executable: Executable;

  private constructor(
    backend: Backend,
    program: Program,
    bindings: Map<string, Buffer | WeightHandle>,
    executable: Executable,
  ) {
    this.#backend = backend;
    this.program = program;
    this.#bindings = bindings;
    this.#executable = executable;
    this.step = new StepRecord(program);
  }

  /** Uploads the weights, fills inputs, states and step fields, compiles. What has no filling stays zero. */
  static async create(backend: Backend, program: Program, fillings: Fillings): Promise<Rig> {
    const bindings = new Map<string, Buffer | WeightHandle>();
    const packed = packedWeights(program);
    for (const value of program.values) {
      const { name, kind } = value;
      if (kind === "weight") {
        const filling = fillings[name];
        const layout = packed.has(name) ? "packed" as const : "plain" as const;
        const dtype = "dtype" in filling ? filling.dtype : "f32";
        const spec = { name, dtype: value.dtype, shape: value.shape as number[], layout };
        bindings.set(name, await backend.upload(spec, memorySource(dtype, fillingBytes(filling))));
      } else if (kind === "input" || kind === "state" || kind === "output") {
        bindings.set(name, backend.alloc(valueBytes(value, program)));
      }
    }
    const rig = new Rig(backend, program, bindings, await backend.compile(program, bindings));
    rig.fill(fillings);
    return rig;
  }

  /** Writes inputs, states and step fields; a filling may be shorter than the value's capacity. */
  fill(fillings: Fillings): void {
    for (const { name, kind, dtype } of this.program.values) {
      const filling = fillings[name];
      if (filling === undefined) continue;
      if (kind === "step" && !("dtype" in filling)) {
        if (dtype === "f32") this.step.floats(name).set(filling);
        else this.step.ints(name).set(filling);
      } else if (kind === "input" || kind === "state") {
        this.#backend.write(this.#buffer(name), 0, fillingBytes(filling));
      }
    }
  }

  /** Runs one step, after covering the outputs with a pattern. */
  run(counts: Capacity): void {
    for (const value of this.#named("output")) {
      const cover = new Uint8Array(valueBytes(value, this.program)).fill(SENTINEL);
      this.#backend.write(this.#buffer(value.name), 0, cover);
    }
    this.step.setCounts(counts.rows, counts.outputs);
    this.#executable.run(this.step);
  }

  /** Reads the outputs, all of them or by name, at the step's own shape. */
  async read(names?: readonly string[]): Promise<Map<string, Packed>> {
    const results = new Map<string, Packed>();
    for (const value of this.#named("output")) {
      if (names && !names.includes(value.name)) continue;
      const bytes = new Uint8Array(valueBytes(value, this.program));
      await this.#backend.read(this.#buffer(value.name), 0, bytes);
      const counts = { rows: this.step.rows, outputs: this.step.outputs };
      const used = byteLength(value.dtype, elementCount(stepShape(value.shape, counts)));
      if (bytes.subarray(used).some((byte) => byte !== SENTINEL)) {
        throw new Error(`${value.name}: rows beyond those of the step were written`);
      }
      results.set(value.name, { dtype: value.dtype, bytes: bytes.subarray(0, used) });
    }
    return results;
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    this.#executable[Symbol.dispose]();
    for (const bound of this.#bindings.values()) {
      if ("spec" in bound) this.#backend.freeWeight(bound);
      else this.#backend.free(bound);
    }
  }

  #named(kind: Value["kind"]): Value[] {
    return this.program.values.filter((value) => value.kind === kind);
  }

  #buffer(name: string): Buffer {
    return this.#bindings.get(name) as Buffer;
  }
}
