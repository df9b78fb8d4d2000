/**
 * The reference backend: every op in readable TypeScript, F32 storage with F64 accumulation. It is slow, exact, and
 * what every other backend is compared with.
 *
 * @module
 */
import { InvalidArgumentError, OutOfMemoryError } from "../../errors.ts";
import type { OpName } from "../../program/ops.ts";
import { plan } from "../../program/plan.ts";
import type { Program } from "../../program/program.ts";
import { type DType, DTYPE_NAMES } from "../../tensor/dtype.ts";
import type {
  Backend,
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
import { ReferenceBuffer } from "./buffer.ts";
import { ReferenceExecutable } from "./executable.ts";
import { KERNELS } from "./kernels.ts";
import { readWeight, weightBytes } from "./weights.ts";

/** Options of the reference backend. */
export interface ReferenceOptions {
  /** The most bytes that may be allocated in all; by default as much as the host gives. */
  memoryLimit?: number;
}

/** Dtypes that a kernel may meet; a weight of any of them is widened row by row. */
const DTYPES_READ: ReadonlySet<DType> = new Set(DTYPE_NAMES);

/**
 * Makes a reference backend.
 *
 * ```ts
 * import { createReferenceBackend } from "./mod.ts";
 * using backend = createReferenceBackend();
 * console.log(backend.device.name);
 * ```
 */
export function createReferenceBackend(options: ReferenceOptions = {}): Backend {
  return new ReferenceBackend(options.memoryLimit ?? Number.MAX_SAFE_INTEGER);
}

class ReferenceBackend implements Backend {
  readonly name = "reference";
  readonly device: DeviceInfo = { name: "TypeScript reference", threads: 1, features: [] };
  readonly #limit: number;
  readonly #held = new Map<Buffer | WeightHandle, number>();
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get memory(): MemoryInfo {
    return { limit: this.#limit, used: this.#used };
  }

  supports(op: OpName, dtypes: readonly DType[]): boolean {
    return KERNELS[op] !== undefined && dtypes.every((dtype) => DTYPES_READ.has(dtype));
  }

  weightBytes(spec: WeightSpec): number {
    return weightBytes(spec);
  }

  async upload(spec: WeightSpec, source: WeightSource, signal?: AbortSignal): Promise<WeightHandle> {
    const into = this.#take(weightBytes(spec), `weight ${spec.name}`);
    return this.#hold(await readWeight(spec, source, into, signal));
  }

  freeWeight(weight: WeightHandle): void {
    this.#release(weight);
  }

  alloc(bytes: number): Buffer {
    return this.#hold(new ReferenceBuffer(this.#take(bytes, "a buffer")));
  }

  free(buffer: Buffer): void {
    this.#release(buffer);
  }

  write(buffer: Buffer, offset: number, bytes: Uint8Array): void {
    own(buffer).range(offset, bytes.length).set(bytes);
  }

  copy(from: Buffer, to: Buffer, ranges: readonly CopyRange[]): void {
    for (const range of ranges) {
      own(to).range(range.to, range.length).set(own(from).range(range.from, range.length));
    }
  }

  read(buffer: Buffer, offset: number, into: Uint8Array): Promise<void> {
    into.set(own(buffer).range(offset, into.length));
    return Promise.resolve();
  }

  // deno-lint-ignore require-await -- what goes wrong must be a rejection
  async compile(program: Program, bindings: Bindings): Promise<Executable> {
    return new ReferenceExecutable(plan(program, this), bindings);
  }

  [Symbol.dispose](): void {
    this.#held.clear();
    this.#used = 0;
  }

  #take(bytes: number, what: string): Uint8Array<ArrayBuffer> {
    const available = this.#limit - this.#used;
    if (bytes > available) throw new OutOfMemoryError({ required: bytes, available, what });
    try {
      return new Uint8Array(bytes);
    } catch (cause) {
      if (cause instanceof RangeError) throw new OutOfMemoryError({ required: bytes, available, what });
      throw cause;
    }
  }

  #hold<Held extends Buffer | WeightHandle>(held: Held): Held {
    this.#held.set(held, held.bytes);
    this.#used += held.bytes;
    return held;
  }

  #release(held: Buffer | WeightHandle): void {
    this.#used -= this.#held.get(held) ?? 0;
    this.#held.delete(held);
  }
}

function own(buffer: Buffer): ReferenceBuffer {
  if (buffer instanceof ReferenceBuffer) return buffer;
  throw new InvalidArgumentError("the buffer belongs to another backend");
}
