/**
 * A Program that the core has compiled.
 *
 * @module
 */
import { BackendError, InvalidArgumentError } from "../../errors.ts";
import { encode } from "../../program/encode.ts";
import { packedWeights, type Plan, valueBytes } from "../../program/plan.ts";
import { ABSENT, type Program, storageOf, type Value } from "../../program/program.ts";
import type { StepRecord } from "../../program/step.ts";
import type { Bindings, Executable, OpTimes, StepFeed } from "../backend.ts";
import { coreError } from "./abi.ts";
import { CoreBuffer, CoreWeight, type Ledger } from "./ledger.ts";
import { heldProgram } from "./held.ts";
import type { Feed, Runnable, Runner } from "./runner.ts";
import type { Uploader } from "./upload.ts";

/** Holds a Program of the core and its step record. */
export class CoreExecutable implements Executable, Runnable {
  readonly arenaBytes: number;
  readonly name: string;
  readonly runFed?: (step: StepRecord, feed: StepFeed) => void;
  readonly #core: Uploader;
  readonly #runner: Runner;
  readonly #stepWords: number;
  readonly #planned: Program;
  readonly #onDispose: (executable: CoreExecutable) => void;
  #program: number;
  #record: Int32Array<ArrayBuffer>;

  /** Encodes, binds and compiles a planned Program. */
  constructor(
    core: Uploader,
    runner: Runner,
    plan: Plan,
    bindings: Bindings,
    onDispose: (executable: CoreExecutable) => void,
  ) {
    this.#core = core;
    this.#runner = runner;
    this.name = plan.program.name;
    this.#stepWords = plan.stepWords;
    this.#planned = plan.program;
    this.#onDispose = onDispose;
    this.#program = create(core, plan, bindings, runner.threads);
    this.arenaBytes = core.abi.programBytes(this.#program);
    core.ledger.count(this.arenaBytes);
    this.#record = this.#viewRecord();
    if (runner.runFed) {
      this.runFed = (step, feed) => runner.runFed?.(this, this.#words(step), this.#feed(step, feed));
    }
  }

  get program(): number {
    return this.#program;
  }

  get record(): number {
    return this.#core.abi.programStep(this.#program);
  }

  run(step: StepRecord): void {
    this.#runner.run(this, this.#words(step));
  }

  profile(step: StepRecord): OpTimes {
    const { abi, name, ledger } = this.#core;
    this.#runner.settle();
    this.load(step.words);
    const milliseconds = new Float64Array(this.#planned.ops.length);
    const regions = abi.programRegions(this.#program);
    for (let region = 0; region < regions; region++) {
      const start = performance.now();
      if (abi.programRunRegion(this.#program, region) !== 0) {
        throw coreError(abi, { backend: name, what: this.name, available: ledger.available });
      }
      milliseconds[abi.programRegionOp(this.#program, region)] += performance.now() - start;
    }
    return { program: this.#planned, milliseconds };
  }

  load(words: Int32Array): void {
    // Memory that has grown leaves the old view without length.
    if (this.#record.length === 0) this.#record = this.#viewRecord();
    this.#record.set(words);
  }

  [Symbol.dispose](): void {
    if (this.#program === 0) return;
    this.#runner.settle();
    this.#core.abi.programFree(this.#program);
    this.#core.ledger.count(-this.arenaBytes);
    this.#program = 0;
    this.#onDispose(this);
  }

  /** The words of a record, checked. */
  #words({ words }: StepRecord): Int32Array {
    if (this.#program === 0) {
      throw new BackendError(this.#core.name, `the Program ${this.name} was disposed before`);
    }
    if (words.length !== this.#stepWords) {
      throw new InvalidArgumentError(`the step record is not one of the Program ${this.name}`);
    }
    return words;
  }

  #feed(step: StepRecord, { from, field, words }: StepFeed): Feed {
    const bytes = 4 * words;
    if (
      !(from instanceof CoreBuffer) || bytes > this.#core.ledger.check(from).bytes ||
      words > step.ints(field).length
    ) {
      throw new InvalidArgumentError(`the field ${field} cannot take ${words} words of this buffer`);
    }
    return { from: from.address, at: 4 * step.offset(field), bytes };
  }

  #viewRecord(): Int32Array<ArrayBuffer> {
    const bytes = this.#core.abi.view(this.record, 4 * this.#stepWords);
    return new Int32Array(bytes.buffer, bytes.byteOffset, this.#stepWords);
  }
}

function create(
  { name, abi, ledger }: Uploader,
  plan: Plan,
  bindings: Bindings,
  threads: number,
): number {
  const addresses = resolve(ledger, plan, bindings);
  const what = `the Program ${plan.program.name}`;
  const blob = encode({ ...plan, program: heldProgram(plan.program) });
  const table = new BigUint64Array(addresses.map(BigInt));
  const staging = ledger.alloc(blob.length + 8 + table.byteLength, what);
  try {
    // The table first: its elements are 8 bytes.
    abi.view(staging.address, table.byteLength).set(new Uint8Array(table.buffer));
    const blobAt = staging.address + table.byteLength;
    abi.view(blobAt, blob.length).set(blob);
    const program = abi.programCreate(blobAt, blob.length, staging.address, addresses.length, threads);
    if (program === 0) throw coreError(abi, { backend: name, what, available: ledger.available });
    return program;
  } finally {
    ledger.free(staging);
  }
}

/** An address for each value that an op needs bound, else 0. */
function resolve(ledger: Ledger, { program }: Plan, bindings: Bindings): number[] {
  const packed = packedWeights(program);
  const addresses = new Array<number>(program.values.length).fill(0);
  for (const op of program.ops) {
    for (const id of [...op.inputs, ...op.outputs]) {
      if (id === ABSENT) continue;
      const value = program.values[storageOf(program, id)];
      if (value.kind === "weight") {
        addresses[value.id] = weightAddress(ledger, value, bindings, packed.has(value.name));
      } else if (value.kind === "state" || value.kind === "input" || value.kind === "output") {
        addresses[value.id] = bufferAddress(ledger, value, bindings, valueBytes(value, program));
      }
    }
  }
  return addresses;
}

function weightAddress(ledger: Ledger, value: Value, bindings: Bindings, packed: boolean): number {
  const weight = bindings.get(value.name);
  if (!(weight instanceof CoreWeight)) {
    throw new InvalidArgumentError(`the weight ${value.name} is not bound to a weight of this backend`);
  }
  const { spec } = ledger.check(weight);
  const [layout, dtype] = packed ? ["packed", value.dtype] : ["plain", spec.dtype];
  if (spec.layout !== layout || spec.dtype !== dtype || spec.shape.join() !== value.shape.join()) {
    throw new InvalidArgumentError(
      `the weight ${value.name} is needed ${layout} as ${value.dtype}[${value.shape}], ` +
        `and is bound to one that is ${spec.layout} as ${spec.dtype}[${spec.shape}]`,
    );
  }
  return weight.address;
}

function bufferAddress(ledger: Ledger, value: Value, bindings: Bindings, bytes: number): number {
  const buffer = bindings.get(value.name);
  if (!(buffer instanceof CoreBuffer)) {
    throw new InvalidArgumentError(
      `the ${value.kind} ${value.name} is not bound to a buffer of this backend`,
    );
  }
  if (ledger.check(buffer).bytes < bytes) {
    throw new InvalidArgumentError(
      `the ${value.kind} ${value.name} needs ${bytes} bytes, and its buffer has ${buffer.bytes}`,
    );
  }
  return buffer.address;
}
