/**
 * Sequences of an engine that fork: rows of one step, together with everybody else's.
 *
 * @module
 */
import type { CrossPart } from "./cross_cache.ts";
import type { Engine } from "./engine.ts";
import type { Branch, ForkingSequences } from "./forking.ts";
import type { Membership, RowOutput, Task, Want } from "./task.ts";

/** What the sequences begin with. */
export interface ForkingRequest {
  /** Tokens to go on from. */
  readonly promptIds: readonly number[];
  /** What the encoder has read, in encoder–decoders; its owner frees it after the sequences. */
  readonly cross?: CrossPart;
  /** Frees all pages at once; what is under way fails with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Sequences in an engine. Dispose of them to give their pages back. */
export class EngineSequences implements ForkingSequences, Disposable {
  readonly #engine: Engine;
  readonly #request: ForkingRequest;
  /** Everyone that is in the engine, of whatever step. */
  readonly #live = new Set<BranchTask>();
  readonly #onAbort = (): void => this.#abort();
  #last: readonly BranchTask[] = [];
  #root?: Membership;
  /** How many tokens of the prompt were computed, once they are. */
  prefilled = 0;
  /** When the first output came, by `performance.now`; 0 before. */
  firstAt = 0;

  /** Enters nothing into the engine yet. */
  constructor(engine: Engine, request: ForkingRequest) {
    this.#engine = engine;
    this.#request = request;
    request.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** How many of them were there already. */
  get reused(): number {
    return this.#root?.reused ?? 0;
  }

  async start(): Promise<Float32Array> {
    const { promptIds, cross, signal } = this.#request;
    signal?.throwIfAborted();
    const task = new BranchTask(promptIds, cross);
    this.#root = task.join(this.#engine.add(task));
    this.#live.add(task);
    this.#last = [task];
    const row = await task.output();
    this.firstAt = performance.now();
    this.prefilled = this.#root.computed;
    return row;
  }

  async step(branches: readonly Branch[]): Promise<readonly Float32Array[]> {
    this.#request.signal?.throwIfAborted();
    const parents = this.#last;
    const unclaimed = new Set(branches.map(({ parent }) => parent));
    parents.forEach((task, i) => {
      if (!unclaimed.has(i)) this.#drop(task);
    });
    // The first branch takes its parent's place. All forks are made before anybody grows.
    this.#last = branches.map(({ parent }) =>
      unclaimed.delete(parent) ? parents[parent] : this.#fork(parents[parent])
    );
    branches.forEach(({ token }, i) => this.#last[i].tokens.push(token));
    return await Promise.all(this.#last.map((task) => task.output()));
  }

  /** Takes all out of the engine. */
  [Symbol.dispose](): void {
    this.#request.signal?.removeEventListener("abort", this.#onAbort);
    for (const task of this.#live) this.#drop(task);
  }

  #fork(parent: BranchTask): BranchTask {
    const task = parent.fork();
    this.#live.add(task);
    return task;
  }

  #drop(task: BranchTask): void {
    this.#live.delete(task);
    task.leave();
  }

  #abort(): void {
    for (const task of this.#live) {
      this.#drop(task);
      task.fail(this.#request.signal?.reason);
    }
  }
}

/** One of them: wants the logits after its last token, when it is asked. */
class BranchTask implements Task {
  readonly tokens: number[];
  readonly needsLogits = true;
  readonly sharesPrefix: boolean;
  readonly cross?: CrossPart;
  #membership?: Membership;
  #waiting?: PromiseWithResolvers<Float32Array>;
  #failure?: { readonly error: unknown };

  constructor(tokens: readonly number[], cross: CrossPart | undefined) {
    this.tokens = [...tokens];
    this.cross = cross;
    // What a decoder computes depends on what its encoder has read.
    this.sharesPrefix = cross === undefined;
  }

  get wants(): Want {
    return this.#waiting ? "now" : "no";
  }
  get firstOutput(): number {
    return this.tokens.length - 1;
  }

  /** Told of its place in an engine. */
  join(membership: Membership): Membership {
    return this.#membership = membership;
  }

  /** The logits after its last token. */
  output(): Promise<Float32Array> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    this.#waiting = Promise.withResolvers();
    this.#membership?.wake();
    return this.#waiting.promise;
  }

  /** A second one with the same tokens, in the same engine. */
  fork(): BranchTask {
    if (this.#failure) throw this.#failure.error;
    const fork = new BranchTask(this.tokens, this.cross);
    const membership = this.#membership?.fork(fork);
    if (membership) fork.join(membership);
    return fork;
  }

  leave(): void {
    this.#membership?.leave();
  }

  accept(output: RowOutput): void {
    if (typeof output !== "number") this.#waiting?.resolve(output.slice());
    this.#waiting = undefined;
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
