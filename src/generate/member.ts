/**
 * A task in an engine, with what it owns.
 *
 * @module
 */
import { type ContextPlan, outlivesContext } from "./context.ts";
import type { Sequence } from "./pages.ts";
import type { Candidate } from "./policy.ts";
import type { Membership, Task, Want } from "./task.ts";

/** What a member asks of its engine. */
export interface MemberEngine {
  /** Somebody wants something. */
  readonly wake: () => void;
  /** Takes a member's pages and its place. */
  readonly release: (member: Member) => void;
  /** Takes a task in that goes on from what a member has computed. */
  readonly fork: (member: Member, task: Task) => Membership;
}

/** A task with what it owns. */
export class Member implements Candidate, Membership {
  /** What it is for. */
  readonly task: Task;
  readonly arrival: number;
  /** What it owns in the cache. */
  readonly sequence: Sequence;
  readonly wake: () => void;
  served = 0;
  computed = 0;
  reused = 0;
  /** Whether it has left. */
  gone = false;
  /** Whether it must not begin with pages of others, because there was no room for copies of them. */
  alone = false;
  /** Tokens that left the full context: where they stood, and how many they are. */
  #gap?: { readonly from: number; readonly count: number };
  readonly #engine: MemberEngine;

  /** A task that has just come. */
  constructor(
    task: Task,
    arrival: number,
    sequence: Sequence,
    engine: MemberEngine,
  ) {
    this.task = task;
    this.arrival = arrival;
    this.sequence = sequence;
    this.wake = engine.wake;
    this.#engine = engine;
  }

  leave(): void {
    if (this.gone) return;
    this.gone = true;
    this.#engine.release(this);
  }

  fork(task: Task): Membership {
    return this.#engine.fork(this, task);
  }

  /** Gives its pages back. */
  clear(): void {
    this.sequence.clear();
    this.#gap = undefined;
  }

  /** Notes which tokens have left the context. */
  skip({ from, to }: ContextPlan): void {
    this.#gap = { from, count: this.skipped + to - from };
  }

  /** How many of the task's tokens have left the context. */
  get skipped(): number {
    return this.#gap?.count ?? 0;
  }
  /** Tokens at the beginning whose keys and values are as if nothing had left. */
  get intact(): number {
    return this.#gap?.from ?? this.sequence.length;
  }

  get cached(): number {
    return this.sequence.length;
  }
  get pending(): number {
    const length = this.task.tokens.length - this.skipped;
    // Up to where room will be made, not beyond.
    const end = outlivesContext(this.task.context) ? Math.min(length, this.sequence.maxLength) : length;
    return end - this.sequence.length;
  }
  get silent(): number {
    return Math.max(this.task.firstOutput - this.skipped - this.sequence.length, 0);
  }
  get wants(): Want {
    return this.task.wants;
  }
  get pages(): number {
    return this.sequence.pages.length;
  }
  get solePages(): number {
    return this.sequence.solePages;
  }
}
