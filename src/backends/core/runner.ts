/**
 * Who runs the steps of a core's Programs: the calling thread at once, or a team of threads behind its back.
 *
 * @module
 */
import { BackendError } from "../../errors.ts";
import { turned } from "../../next_task.ts";
import { type CoreAbi, coreError, type TeamAbi } from "./abi.ts";

/** A compiled Program with its step record. */
export interface Runnable {
  /** Name for people. */
  readonly name: string;
  /** Handle of the Program. */
  readonly program: number;
  /** Writes the step record. */
  load(words: Int32Array): void;
}

/** Runs steps and reads in the order in which they are asked for. */
export interface Runner {
  /** Threads that a Program is compiled for. */
  readonly threads: number;
  /** Enqueues a step. The words may be changed once this returns. */
  run(runnable: Runnable, words: Int32Array): void;
  /** Calls `take` when all steps so far have ended, before any later one starts. Rejects where one of them failed. */
  read(take: () => void): Promise<void>;
  /** Blocks until everything so far is done. Failures are kept for the next read. */
  settle(): void;
  /** Lets the threads go; nothing may be running. */
  close(): void;
}

/** What a runner works with. */
export interface RunnerOptions {
  /** Name of the backend, for errors. */
  readonly name: string;
  /** The loaded core. */
  readonly abi: CoreAbi;
  /** Bytes that can still be had, for errors. */
  readonly available: () => number;
}

/** Runs each step at once, on the calling thread; a failure is thrown where the step is enqueued. */
export function callingThread({ name, abi, available }: RunnerOptions): Runner {
  return {
    threads: 1,
    run(runnable, words) {
      runnable.load(words);
      if (abi.programRun(runnable.program) !== 0) {
        throw coreError(abi, { backend: name, what: runnable.name, available: available() });
      }
    },
    // deno-lint-ignore require-await -- errors of an async method must not be thrown at once
    async read(take) {
      take();
    },
    settle() {},
    close() {},
  };
}

/** A step that waits for its turn. */
interface QueuedStep {
  readonly runnable: Runnable;
  readonly words: Int32Array;
}

/** A read that waits for its turn. */
interface QueuedRead {
  readonly take: () => void;
  readonly promise: PromiseWithResolvers<void>;
}

/** Steps shorter than this, in milliseconds, are waited for in a loop: to be woken would take as long again. */
const SHORT_STEP = 0.3;

/**
 * Runs steps on a team of threads, one step at a time. A step that fails is told by the next read; steps that were
 * enqueued between the two are not run.
 */
export class TeamRunner implements Runner {
  readonly threads: number;
  readonly #options: RunnerOptions;
  readonly #team: TeamAbi;
  readonly #queue: (QueuedStep | QueuedRead)[] = [];
  #running?: Runnable;
  /** Steps that had ended when the running one was started. */
  #seen = 0;
  #started = 0;
  /** Milliseconds that the last step took. */
  #took = Infinity;
  #failure?: unknown;
  #driving = false;

  /** Takes over a team that has its threads. */
  constructor(options: RunnerOptions, team: TeamAbi) {
    this.#options = options;
    this.#team = team;
    this.threads = team.threads;
  }

  run(runnable: Runnable, words: Int32Array): void {
    this.#advance();
    if (this.#idle()) this.#start(runnable, words);
    else this.#enqueue({ runnable, words: words.slice() });
  }

  read(take: () => void): Promise<void> {
    this.#advance();
    const read = { take, promise: Promise.withResolvers<void>() };
    if (this.#idle()) this.#serve(read);
    else this.#enqueue(read);
    return read.promise.promise;
  }

  settle(): void {
    this.#advance();
    while (this.#running) {
      if (!this.#ended()) this.#team.wait(this.#seen);
      this.#advance();
    }
  }

  close(): void {
    this.#team.free();
  }

  #idle(): boolean {
    return this.#running === undefined && this.#queue.length === 0;
  }

  /** Whether the running step has ended, or never will. */
  #ended(): boolean {
    return this.#team.finished() !== this.#seen || this.#team.fault() !== undefined;
  }

  #enqueue(entry: QueuedStep | QueuedRead): void {
    this.#queue.push(entry);
    if (!this.#driving) void this.#drive();
  }

  /** Waits for one step after the other as long as something stands in the queue. */
  async #drive(): Promise<void> {
    this.#driving = true;
    while (this.#running) {
      if (this.#took < SHORT_STEP) this.#look();
      if (!this.#ended() && await this.#team.waitAsync(this.#seen)) turned();
      this.#advance();
    }
    this.#driving = false;
  }

  /** Looks for the end of a short step. */
  #look(): void {
    const until = this.#started + 2 * SHORT_STEP;
    while (!this.#ended() && performance.now() < until);
  }

  /** Takes note of a step that has ended, and goes on with the queue. */
  #advance(): void {
    if (this.#running && this.#ended()) this.#finish(this.#running);
    while (!this.#running) {
      const entry = this.#queue.shift();
      if (!entry) return;
      if ("take" in entry) this.#serve(entry);
      else this.#start(entry.runnable, entry.words);
    }
  }

  #start(runnable: Runnable, words: Int32Array): void {
    if (this.#failure !== undefined) return;
    const fault = this.#team.fault();
    if (fault !== undefined) {
      this.#failure = new BackendError(this.#options.name, fault);
      return;
    }
    runnable.load(words);
    this.#seen = this.#team.finished();
    this.#started = performance.now();
    if (this.#team.start(runnable.program) === 0) this.#running = runnable;
    else this.#failure = this.#error(runnable);
  }

  #finish(runnable: Runnable): void {
    this.#running = undefined;
    this.#took = performance.now() - this.#started;
    if (this.#team.finished() === this.#seen) {
      this.#failure = new BackendError(this.#options.name, `${runnable.name}: ${this.#team.fault()}`);
    } else if (this.#team.status() !== 0) this.#failure = this.#error(runnable);
  }

  #serve({ take, promise }: QueuedRead): void {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      take();
      promise.resolve();
    } catch (error) {
      this.#failure = undefined;
      promise.reject(error);
    }
  }

  #error(runnable: Runnable): unknown {
    const { name, abi, available } = this.#options;
    return coreError(abi, { backend: name, what: runnable.name, available: available() });
  }
}
