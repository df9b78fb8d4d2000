/**
 * The backend interface, narrow on purpose: a backend compiles a whole Program and runs it with one call a step.
 *
 * @module
 */
import type { OpName } from "../program/ops.ts";
import type { Program } from "../program/program.ts";
import type { StepRecord } from "../program/step.ts";
import type { DType } from "../tensor/dtype.ts";

/** Name of a backend as users write it. */
export type BackendName = "reference" | "wasm" | "webgpu" | "native";

/** What the backend computes on. */
export interface DeviceInfo {
  /** Name of the device for people. */
  readonly name: string;
  /** Threads that compute. */
  readonly threads: number;
  /** Instruction set or feature list, such as `relaxed-simd`. */
  readonly features: readonly string[];
}

/** Memory, in bytes. */
export interface MemoryInfo {
  /** The most that can be allocated in all, as far as the backend can know. */
  readonly limit: number;
  /** What is allocated now. */
  readonly used: number;
}

/** A weight as a Program declares it. */
export interface WeightSpec {
  /** Name by which Programs bind it. */
  readonly name: string;
  /** Element type in the Program; a source of another type is converted. */
  readonly dtype: DType;
  /** Shape, outermost first. */
  readonly shape: readonly number[];
  /** `packed`: the weight of a `linear` or `embed`, in whatever layout the kernels like; `plain`: dense F32. */
  readonly layout: "packed" | "plain";
}

/** Where a weight's bytes come from: read piece by piece, never as a second whole copy. */
export interface WeightSource {
  /** Element type as stored. */
  readonly dtype: DType;
  /** Length in bytes. */
  readonly byteLength: number;
  /** Reads `length` bytes at `offset` of the tensor. The result is only valid until the next read. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Fills `into` from `offset`, at once and without garbage; present where the source can. */
  readSync?(offset: number, into: Uint8Array): void;
}

/** A weight that a backend holds. Opaque. */
export interface WeightHandle {
  /** The spec it was uploaded with. */
  readonly spec: WeightSpec;
  /** Bytes that it takes on the device. */
  readonly bytes: number;
}

/** Memory of a backend. Opaque. */
export interface Buffer {
  /** Length in bytes. */
  readonly bytes: number;
}

/** A range to copy between two buffers, in bytes. */
export interface CopyRange {
  /** Offset in the source. */
  readonly from: number;
  /** Offset in the destination. */
  readonly to: number;
  /** Bytes to copy. */
  readonly length: number;
}

/** What a Program's named values are bound to: weights to handles; states, inputs and outputs to buffers. */
export type Bindings = ReadonlyMap<string, Buffer | WeightHandle>;

/** How long each op of a step took. */
export interface OpTimes {
  /** The Program as it was planned: fused and lowered. */
  readonly program: Program;
  /** Milliseconds by position of the op. */
  readonly milliseconds: Float64Array;
}

/** Words of a step record that are not known yet: a step before leaves them in a buffer. */
export interface StepFeed {
  /** The buffer; they begin it. */
  readonly from: Buffer;
  /** The field of the record that they begin. */
  readonly field: string;
  /** How many 32-bit words. */
  readonly words: number;
}

/** A compiled Program. */
export interface Executable {
  /** Bytes of temporaries and scratch that it holds. */
  readonly arenaBytes: number;
  /** Enqueues one step; only `read` waits. The record may be changed once this returns. */
  run(step: StepRecord): void;
  /**
   * As `run`, with words that are taken from a buffer when the step begins, which it does as soon as those before it have
   * ended. Present where steps run while the host does something else.
   */
  readonly runFed?: (step: StepRecord, feed: StepFeed) => void;
  /** How many fed steps may be of use at once, where each is short. Default: 1. */
  readonly fedSteps?: number;
  /** As `run`, on the calling thread and op by op, so that each one's time can be taken. Not every backend can. */
  profile?(step: StepRecord): OpTimes;
  /** Frees what it holds. Weights and bound buffers stay. */
  [Symbol.dispose](): void;
}

/** A device that compiles and runs Programs. */
export interface Backend {
  /** Name of the backend. */
  readonly name: BackendName;
  /** What it computes on. */
  readonly device: DeviceInfo;
  /** Its memory. */
  readonly memory: MemoryInfo;
  /** Whether it has a kernel for the op on these dtypes (of the inputs, absent ones left out). */
  supports(op: OpName, dtypes: readonly DType[]): boolean;
  /** Bytes that a weight will take once uploaded; nothing is allocated. */
  weightBytes(spec: WeightSpec): number;
  /** Streams a weight to the device and repacks it there. */
  upload(spec: WeightSpec, source: WeightSource, signal?: AbortSignal): Promise<WeightHandle>;
  /** Frees a weight. */
  freeWeight(weight: WeightHandle): void;
  /** Takes zeroed memory; throws `OutOfMemoryError` where it cannot be had. */
  alloc(bytes: number): Buffer;
  /** Frees memory. */
  free(buffer: Buffer): void;
  /** Writes bytes from the host. */
  write(buffer: Buffer, offset: number, bytes: Uint8Array): void;
  /** Copies ranges between two buffers (or within one, where they do not overlap). */
  copy(from: Buffer, to: Buffer, ranges: readonly CopyRange[]): void;
  /** Waits for what was enqueued, then fills `into` from the buffer. */
  read(buffer: Buffer, offset: number, into: Uint8Array): Promise<void>;
  /** Compiles a Program; what the backend does not claim is lowered, what cannot be lowered throws. */
  compile(program: Program, bindings: Bindings): Promise<Executable>;
  /** Frees everything, after what is in flight. */
  [Symbol.dispose](): void;
}
