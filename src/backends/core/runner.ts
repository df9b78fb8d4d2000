/**
 * Who runs the steps of a core's Programs: the calling thread at once, or a team of threads behind its back.
 *
 * @module
 */
import { BackendError } from "../../errors.ts";
import { turned } from "../../next_task.ts";
import { type CoreAbi, coreError, type TeamAbi } from "./abi.ts";
import { Aside } from "./aside.ts";

/** A compiled Program with its step record. */
export interface Runnable {
  /** Name for people. */
  readonly name: string;
  /** Handle of the Program. */
  readonly program: number;
  /** Address of the step record. */
  readonly record: number;
  /** Writes the step record. */
  load(words: Int32Array): void;
}

/** Bytes of a step record that are taken from elsewhere when the step begins. */
export interface Feed {
  /** Where they are. */
  readonly from: number;
  /** Where they go, from the beginning of the record on. */
  readonly at: number;
  /** How many. */
  readonly bytes: number;
}

/** Memory that somebody wants to read. */
export interface Read {
  /** Where it begins. */
  readonly address: number;
  /** How many bytes. */
  readonly bytes: number;
  /** Takes them from where they are or were put. */
  readonly take: (from: number) => void;
}

/** Runs steps and reads in the order in which they are asked for. */
export interface Runner {
  /** Threads that a Program is compiled for. */
  readonly threads: number;
  /** Enqueues a step. The words may be changed once this returns. */
  run(runnable: Runnable, words: Int32Array): void;
  /** As `run`, of a step that is fed; where there are threads. */
  runFed?(runnable: Runnable, words: Int32Array, feed: Feed): void;
  /** Gives what the steps so far have left, before any later one writes over it. Rejects where one of them failed. */
  read(read: Read): Promise<void>;
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
    async read({ address, take }) {
      take(address);
    },
    settle() {},
    close() {},
  };
}

/** A step that waits for its turn. */
interface QueuedStep {
  readonly runnable: Runnable;
  readonly words: Int32Array;
  readonly feed?: Feed;
}

/** A read that waits for its turn. */
interface QueuedRead {
  readonly read: Read;
  readonly promise: PromiseWithResolvers<void>;
}

/** A step that begins when the running one has ended; behind one that fails it does not, and is the next step then. */
interface Follower {
  readonly runnable: Runnable;
  readonly feed: Feed;
  /** Reads of what the running one leaves. */
  readonly reads: readonly QueuedRead[];
  /** Where each of them finds it when the follower has begun. */
  readonly kept: readonly number[];
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
  readonly #aside: Aside;
  #running?: Runnable;
  #follower?: Follower;
  /** Steps that had begun when the running one had. */
  #begun = 0;
  /** Steps that had ended when the running one was started. */
  #seen = 0;
  #started = 0;
  /** Milliseconds that the last step took. */
  #took = Infinity;
  /** Whether the running step was seen to begin. */
  #timed = false;
  #failure?: unknown;
  #driving = false;

  /** Takes over a team that has its threads. */
  constructor(options: RunnerOptions, team: TeamAbi) {
    this.#options = options;
    this.#team = team;
    this.threads = team.threads;
    this.#aside = new Aside(options.abi);
  }

  run(runnable: Runnable, words: Int32Array): void {
    this.#advance();
    if (this.#idle()) this.#start({ runnable, words });
    else this.#enqueue({ runnable, words: words.slice() });
  }

  runFed(runnable: Runnable, words: Int32Array, feed: Feed): void {
    this.#advance();
    if (this.#idle()) this.#start({ runnable, words, feed });
    else if (!this.#follow(runnable, words, feed)) this.#enqueue({ runnable, words: words.slice(), feed });
  }

  read(read: Read): Promise<void> {
    this.#advance();
    const queued = { read, promise: Promise.withResolvers<void>() };
    if (this.#idle()) this.#serve(queued, read.address);
    else this.#enqueue(queued);
    return queued.promise.promise;
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
    this.#aside.free();
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
      if ("read" in entry) this.#serve(entry, entry.read.address);
      else this.#start(entry);
    }
  }

  #start({ runnable, words, feed }: QueuedStep): void {
    if (this.#failure !== undefined) return;
    const fault = this.#team.fault();
    if (fault !== undefined) {
      this.#failure = new BackendError(this.#options.name, fault);
      return;
    }
    runnable.load(words);
    const { abi } = this.#options;
    if (feed) abi.view(runnable.record + feed.at, feed.bytes).set(abi.view(feed.from, feed.bytes));
    this.#seen = this.#team.finished();
    this.#started = performance.now();
    this.#timed = true;
    if (this.#team.start(runnable.program) === 0) this.#running = runnable;
    else this.#failure = this.#error(runnable);
    this.#begun = this.#team.begun();
  }

  /** Has a step begin when the running one has ended; whether that can be. */
  #follow(runnable: Runnable, words: Int32Array, feed: Feed): boolean {
    const reads: QueuedRead[] = [];
    for (const entry of this.#queue) if ("read" in entry) reads.push(entry);
    if (!this.#running || this.#follower || reads.length < this.#queue.length) return false;
    const copies = this.#aside.put(runnable, words, feed, reads.map(({ read }) => read));
    if (!copies || this.#team.follow(runnable.program, copies.list, copies.count) === 0) return false;
    this.#follower = { runnable, feed, reads, kept: copies.kept };
    this.#queue.length = 0;
    return true;
  }

  #finish(runnable: Runnable): void {
    const follower = this.#follower;
    this.#running = this.#follower = undefined;
    if (this.#timed) this.#took = performance.now() - this.#started;
    if (follower && this.#team.begun() !== this.#begun) return this.#succeed(follower);
    if (follower) {
      const { runnable, feed, reads } = follower;
      this.#queue.unshift(...reads, { runnable, words: this.#aside.record().slice(), feed });
    }
    if (this.#team.finished() === this.#seen) {
      this.#failure = new BackendError(this.#options.name, `${runnable.name}: ${this.#team.fault()}`);
    } else if (this.#team.status() !== 0) this.#failure = this.#error(runnable);
  }

  /** Goes on with a follower, which has begun. */
  #succeed({ runnable, reads, kept }: Follower): void {
    this.#running = runnable;
    this.#begun = this.#team.begun();
    this.#seen = (this.#seen + 1) | 0;
    this.#started = performance.now();
    this.#timed = !this.#ended();
    for (const [i, read] of reads.entries()) this.#serve(read, kept[i]);
  }

  #serve({ read, promise }: QueuedRead, from: number): void {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      read.take(from);
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
