/**
 * The ABI of `core/` as both shims give it: addresses and handles are numbers, 0 stands for failure.
 *
 * @module
 */
import {
  BackendError,
  InvalidProgramError,
  type LLMForgeError,
  OutOfBoundsError,
  OutOfMemoryError,
} from "../../errors.ts";

/** The functions of `core/src/abi.rs`, and the memory behind them. */
export interface CoreAbi {
  /** Takes zeroed memory, 64-byte aligned. */
  alloc(bytes: number): number;
  /** Frees memory of exactly this length. */
  free(address: number, bytes: number): void;
  /** Bytes that a packed weight will take; 0 for one that cannot be. */
  weightBytes(dtype: number, rows: number, columns: number): number;
  /** Takes the memory of a packed weight. */
  weightCreate(dtype: number, rows: number, columns: number): number;
  /** Packs whole rows; gives a status. */
  weightWrite(weight: number, firstRow: number, address: number, bytes: number): number;
  /** Frees a packed weight. */
  weightFree(weight: number): void;
  /** Compiles an encoded Program for so many threads; the bindings are a u64 for each value. */
  programCreate(blob: number, bytes: number, bindings: number, count: number, threads: number): number;
  /** Address of the step record. */
  programStep(program: number): number;
  /** Bytes that a Program holds. */
  programBytes(program: number): number;
  /** Runs a step on the calling thread; gives a status. */
  programRun(program: number): number;
  /** Regions of a Program: the pieces of a step whose time can be taken. */
  programRegions(program: number): number;
  /** Position of the op that a region is part of. */
  programRegionOp(program: number, region: number): number;
  /** Runs one region of a step, on the calling thread; gives a status. */
  programRunRegion(program: number, region: number): number;
  /** Frees a Program. */
  programFree(program: number): void;
  /** Address of the last error: code and length as u32, then the text. */
  lastError(): number;
  /** The bytes at an address. Only valid until memory grows, then its length is 0. */
  view(address: number, bytes: number): Uint8Array<ArrayBuffer>;
  /** Lets go of the library or module. */
  close(): void;
}

/** How a team is made. */
export interface TeamOptions {
  /** Threads that compute, 1 to 64. */
  readonly threads: number;
  /** Nanoseconds of work from which on it is shared between threads. */
  readonly partWork: number;
}

/** The team of a backend that is asked for threads; nothing for 0. */
export function teamOptions({ threads = 0, partWork = PART_WORK }: Partial<TeamOptions>): TeamOptions {
  return { threads: Math.min(threads, MAX_THREADS), partWork };
}

/** To hand work over takes some hundred nanoseconds. */
const PART_WORK = 2000;

/** The most threads of a team, as in `core/src/threads/team.rs`. */
const MAX_THREADS = 64;

/** The functions of `core/src/threads/abi.rs`, of a team that has its threads. */
export interface TeamAbi {
  /** How many threads it has. */
  readonly threads: number;
  /** Starts the step in a Program's record; gives a status. No other step may be running. */
  start(program: number): number;
  /**
   * Has a step of a Program begin when the running one has ended without a failure, behind so many copies (u64 each: from, to,
   * bytes); 0 where none is running. There must be no other that has not begun, and the copies must stay until this one has.
   */
  follow(program: number, copies: number, count: number): number;
  /** How many steps have begun; wraps. One that follows has begun before the end of the step before it is told. */
  begun(): number;
  /** How many steps have ended, as a signed word; wraps. */
  finished(): number;
  /** Status of the last step, which has ended. */
  status(): number;
  /** Why a running step will never end; nothing where all is well. */
  fault(): string | undefined;
  /** Sleeps while `finished` is `seen`; may return sooner. */
  wait(seen: number): void;
  /** As `wait`, without holding the thread up. Gives whether the event loop has had a turn meanwhile. */
  waitAsync(seen: number): Promise<boolean>;
  /** Ends the threads. No step may be running. */
  free(): void;
}

/** What was tried when a call failed. */
export interface Attempt {
  /** Name of the backend. */
  readonly backend: string;
  /** What it was for. */
  readonly what: string;
  /** Bytes that it needs, where that is known. */
  readonly required?: number;
  /** Bytes that can be had. */
  readonly available: number;
}

/** Codes of `core/src/error.rs`. */
const INVALID_PROGRAM = 1;
const OUT_OF_MEMORY = 2;
const OUT_OF_BOUNDS = 3;

/** The last failure of the core as one of our errors. */
export function coreError(abi: CoreAbi, attempt: Attempt): LLMForgeError {
  const address = abi.lastError();
  const head = abi.view(address, 8);
  const [code, length] = new Uint32Array(head.slice().buffer);
  const text = new TextDecoder().decode(abi.view(address + 8, length).slice());
  switch (code) {
    case INVALID_PROGRAM:
      return new InvalidProgramError(`${attempt.what}: ${text}`);
    case OUT_OF_MEMORY:
      return new OutOfMemoryError({ ...attempt, required: attempt.required ?? Number.parseInt(text) });
    case OUT_OF_BOUNDS:
      return new OutOfBoundsError(`${attempt.what}: ${text}`);
    default:
      return new BackendError(attempt.backend, `${attempt.what}: ${text}`);
  }
}
