/**
 * The backend over `core/`, whatever shim the core is behind.
 *
 * @module
 */
import { BackendError, InvalidArgumentError, OutOfBoundsError } from "../../errors.ts";
import type { OpName } from "../../program/ops.ts";
import { plan } from "../../program/plan.ts";
import type { Program } from "../../program/program.ts";
import { type DType, WEIGHT_DTYPES } from "../../tensor/dtype.ts";
import type {
  Backend,
  BackendName,
  Bindings,
  Buffer,
  CopyRange,
  DeviceInfo,
  Executable,
  MemoryInfo,
  WeightHandle,
  WeightSource,
  WeightSpec,
} from "../backend.ts";
import type { CoreAbi, TeamAbi } from "./abi.ts";
import { CoreExecutable } from "./executable.ts";
import { CoreBuffer, CoreWeight, Ledger } from "./ledger.ts";
import { callingThread, type Runner, TeamRunner } from "./runner.ts";
import { Staging } from "./staging.ts";
import { upload, type Uploader, weightBytes } from "./upload.ts";

/** Dtypes of what is not a weight or a cache. */
const DENSE: readonly DType[] = ["f32", "i32"];
/** Dtypes of a KV cache beyond F32. */
const CACHES: readonly DType[] = ["f16", "q16", "q8_0"];

/** What ops take beyond dense F32 and I32. */
const MORE_DTYPES: Partial<Record<OpName, readonly DType[]>> = {
  linear: WEIGHT_DTYPES,
  linearGroup: WEIGHT_DTYPES,
  matmulExperts: WEIGHT_DTYPES,
  embed: WEIGHT_DTYPES,
  writeKv: CACHES,
  pagedAttention: CACHES,
  ropeShift: CACHES,
};

/** What makes a backend out of a loaded core. */
export interface CoreOptions {
  /** Name of the backend. */
  readonly name: BackendName;
  /** What it computes on. */
  readonly device: DeviceInfo;
  /** The loaded core. */
  readonly abi: CoreAbi;
  /** The most bytes that may be held. */
  readonly limit: number;
  /** The threads that run steps. Without them steps run at once, on the calling thread. */
  readonly team?: TeamAbi;
}

/** A backend over a loaded core. */
export class CoreBackend implements Backend {
  readonly name: BackendName;
  readonly device: DeviceInfo;
  readonly #core: Uploader;
  readonly #runner: Runner;
  readonly #executables = new Set<CoreExecutable>();
  #disposed = false;

  /** Takes over a loaded core. */
  constructor({ name, device, abi, limit, team }: CoreOptions) {
    this.name = name;
    this.device = device;
    const ledger = new Ledger(abi, limit);
    this.#core = { name, abi, ledger, staging: new Staging(abi) };
    const options = { name, abi, available: () => ledger.available };
    this.#runner = team ? new TeamRunner(options, team) : callingThread(options);
  }

  get memory(): MemoryInfo {
    return this.#core.ledger.memory;
  }

  supports(op: OpName, dtypes: readonly DType[]): boolean {
    return dtypes.every((dtype) => DENSE.includes(dtype) || (MORE_DTYPES[op]?.includes(dtype) ?? false));
  }

  weightBytes(spec: WeightSpec): number {
    return weightBytes(this.#alive().abi, spec);
  }

  async upload(spec: WeightSpec, source: WeightSource, signal?: AbortSignal): Promise<WeightHandle> {
    return await upload(this.#quiet(), spec, source, signal);
  }

  freeWeight(weight: WeightHandle): void {
    if (!(weight instanceof CoreWeight)) throw foreign("weight");
    this.#quiet().ledger.free(weight);
  }

  alloc(bytes: number): Buffer {
    return this.#alive().ledger.alloc(bytes, "a buffer");
  }

  free(buffer: Buffer): void {
    if (!(buffer instanceof CoreBuffer)) throw foreign("buffer");
    this.#quiet().ledger.free(buffer);
  }

  write(buffer: Buffer, offset: number, bytes: Uint8Array): void {
    this.#quiet();
    this.#view(buffer, offset, bytes.length).set(bytes);
  }

  copy(from: Buffer, to: Buffer, ranges: readonly CopyRange[]): void {
    this.#quiet();
    for (const range of ranges) {
      this.#view(to, range.to, range.length).set(this.#view(from, range.from, range.length));
    }
  }

  async read(buffer: Buffer, offset: number, into: Uint8Array): Promise<void> {
    if (!(buffer instanceof CoreBuffer)) throw foreign("buffer");
    // Only a check: memory may grow until it is read.
    this.#view(buffer, offset, into.length);
    const { abi } = this.#alive();
    await this.#runner.read({
      address: buffer.address + offset,
      bytes: into.length,
      take: (from) => into.set(abi.view(from, into.length)),
    });
  }

  // deno-lint-ignore require-await -- errors of an async method must not be thrown at once
  async compile(program: Program, bindings: Bindings): Promise<Executable> {
    const core = this.#quiet();
    // The weights are there by now.
    core.staging.free();
    const forget = (executable: CoreExecutable): void => void this.#executables.delete(executable);
    const executable = new CoreExecutable(core, this.#runner, plan(program, this), bindings, forget);
    this.#executables.add(executable);
    return executable;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    for (const executable of [...this.#executables]) executable[Symbol.dispose]();
    this.#runner.settle();
    this.#runner.close();
    this.#core.staging.free();
    this.#core.ledger.freeAll();
    this.#core.abi.close();
    this.#disposed = true;
  }

  #alive(): Uploader {
    if (this.#disposed) throw new BackendError(this.name, "it was disposed before");
    return this.#core;
  }

  /** As `#alive`, with nothing running that could still use what the caller is about to change. */
  #quiet(): Uploader {
    const core = this.#alive();
    this.#runner.settle();
    return core;
  }

  #view(buffer: Buffer, offset: number, length: number): Uint8Array {
    const { abi, ledger } = this.#alive();
    if (!(buffer instanceof CoreBuffer)) throw foreign("buffer");
    if (offset < 0 || offset + length > ledger.check(buffer).bytes) {
      throw new OutOfBoundsError(`${length} bytes at ${offset} leave a buffer of ${buffer.bytes} bytes`);
    }
    return abi.view(buffer.address + offset, length);
  }
}

function foreign(what: string): InvalidArgumentError {
  return new InvalidArgumentError(`the ${what} is not one of this backend`);
}
