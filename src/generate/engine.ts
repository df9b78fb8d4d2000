/**
 * The engine: runs all tasks of a model together, step by step, for as long as somebody waits for one of them.
 *
 * @module
 */
import {
  InvalidArgumentError,
  OutOfBoundsError,
  QueueFullError,
  SequenceLengthExceededError,
} from "../errors.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";
import { makeRoom } from "./make_room.ts";
import { Member } from "./member.ts";
import { nextTask, nextTurn } from "../next_task.ts";
import { Sequence } from "./pages.ts";
import { type PlannedEntry, planStep, type StepPlan } from "./policy.ts";
import { PrefixCache } from "./prefix_cache.ts";
import type { Membership, RowOutput, StepEntry, StepRunner, Task } from "./task.ts";

/** How many turns of the microtask queue readers have to ask for more before the next step. */
const GATHER_TURNS = 32;

/** Bounds of an engine. */
export interface EngineOptions {
  /** Tasks that may wait, beside those of one step. */
  readonly maxQueue: number;
  /** Pages that may be kept for later tasks that begin alike. Default: none. */
  readonly prefixPages?: number;
}

/** What an engine has to do. */
export interface EngineUsage {
  /** Sequences that want something. */
  readonly busy: number;
  /** Sequences whose readers want nothing now. */
  readonly idle: number;
  /** Pages of the cache. */
  readonly pages: number;
  /** Pages that sequences hold. */
  readonly heldPages: number;
  /** Pages that are kept for later. */
  readonly keptPages: number;
}

/** Runs tasks. */
export class Engine {
  /** Computes the steps. */
  readonly runner: StepRunner;
  readonly #maxQueue: number;
  readonly #members = new Set<Member>();
  readonly #prefixes: PrefixCache;
  #arrivals = 0;
  #steps = 0;
  #loop?: Promise<void>;
  #newcomers = false;
  /** The step that is computed while the next one is planned; it has no outputs. */
  #inFlight: Promise<void> = Promise.resolve();
  #closed = false;

  /** Makes an engine that has nothing to do yet. */
  constructor(runner: StepRunner, { maxQueue, prefixPages = 0 }: EngineOptions) {
    this.runner = runner;
    this.#maxQueue = maxQueue;
    this.#prefixes = new PrefixCache(runner.pool, prefixPages);
  }

  /** What there is to do now. */
  get usage(): EngineUsage {
    const { pool } = this.runner;
    let busy = 0;
    for (const { wants } of this.#members) if (wants !== "no") busy++;
    const heldPages = pool.size - pool.free;
    return {
      busy,
      idle: this.#members.size - busy,
      pages: pool.size,
      heldPages,
      keptPages: this.#prefixes.pages,
    };
  }

  /** The pages of sequences that have ended. */
  get prefixes(): PrefixCache {
    return this.#prefixes;
  }

  /**
   * Takes a task in.
   *
   * @throws {QueueFullError} where too many are waiting.
   * @throws {SequenceLengthExceededError} where its tokens are more than the context holds.
   * @throws {OutOfBoundsError} where a token is outside the vocabulary.
   */
  add(task: Task): Membership {
    if (this.#closed) throw closedError();
    this.#check(task.tokens);
    const { runner: { capacity, pool, contextLength } } = this;
    const max = capacity.sequences + this.#maxQueue;
    if (this.usage.busy >= max) throw new QueueFullError({ max });
    this.#newcomers = true;
    return this.#join(task, new Sequence(pool, contextLength, task.cross));
  }

  /** Ends all tasks with an error and waits for the step that is being computed. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const member of [...this.#members]) fail(member, closedError());
    await this.#loop;
    await this.#inFlight;
  }

  #join(task: Task, sequence: Sequence): Member {
    const member = new Member(task, ++this.#arrivals, sequence, {
      wake: () => this.#wake(),
      release: (member) => {
        this.#release(member);
        this.#members.delete(member);
      },
      fork: (member, task) => {
        if (this.#closed) throw closedError();
        return this.#join(task, this.#fork(member.sequence));
      },
    });
    this.#members.add(member);
    return member;
  }

  /** A second sequence with the same tokens, or the same full pages where none is free to copy the last one to. */
  #fork(sequence: Sequence): Sequence {
    const { pool, contextLength } = this.runner;
    const full = Math.floor(sequence.length / PAGE_SIZE);
    if (pool.free > 0 || sequence.length === full * PAGE_SIZE) return this.runner.fork(sequence);
    const fork = new Sequence(pool, contextLength, sequence.cross);
    fork.adopt(sequence.pages.slice(0, full));
    return fork;
  }

  #check(tokens: readonly number[]): void {
    const { contextLength, vocabSize } = this.runner;
    if (tokens.length === 0) throw new InvalidArgumentError("the prompt is empty; give at least one token");
    if (tokens.length > contextLength) {
      throw new SequenceLengthExceededError({ max: contextLength, actual: tokens.length });
    }
    const wrong = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new OutOfBoundsError(`token ${wrong} is outside the vocabulary of ${vocabSize}`);
    }
  }

  #wake(): void {
    this.#loop ??= this.#run();
  }

  async #run(): Promise<void> {
    try {
      await this.#runSteps();
    } catch (error) {
      this.#loop = undefined;
      for (const member of [...this.#members]) fail(member, error);
    }
  }

  async #runSteps(): Promise<void> {
    for (;;) {
      await this.#gather();
      const plan = this.#plan();
      for (const member of plan.preempted) this.#release(member);
      // Pages that several of them shared are free only now: the next plan knows whether they are enough.
      const exhausted = plan.preempted.length === 0 ? plan.exhausted : [];
      for (const member of exhausted) fail(member, this.#exhausted(member));
      if (plan.entries.length > 0) await this.#step(plan.entries);
      else if (plan.preempted.length + plan.exhausted.length === 0) {
        // At once: whoever wants something a moment later must not think that the loop still runs.
        this.#loop = undefined;
        return;
      }
      await nextTask();
    }
  }

  /** Gives those who are likely to take part the time to say so: readers of the last step, and others who start now. */
  async #gather(): Promise<void> {
    if (this.#newcomers) await nextTurn();
    this.#newcomers = false;
    const undecided = (): boolean => {
      for (const { wants } of this.#members) if (wants === "ahead") return true;
      return false;
    };
    for (let turn = 0; turn < GATHER_TURNS && undecided(); turn++) await undefined;
  }

  #plan(): StepPlan<Member> {
    const { capacity, pool } = this.runner;
    for (const member of [...this.#members]) if (member.wants !== "no") this.#makeRoom(member);
    const plan = planStep([...this.#members], capacity, pool.free);
    // Who begins may find pages: then there is less to do, and other pages are free than was thought.
    const found = plan.entries.filter(({ candidate }) => candidate.cached === 0 && this.#adopt(candidate));
    return found.length > 0 ? planStep([...this.#members], capacity, pool.free) : plan;
  }

  /** Makes room where a context is full. Who would have to change pages of others, and cannot copy them, begins anew. */
  #makeRoom(member: Member): void {
    try {
      if (makeRoom(member, this.runner)) return;
      member.alone = true;
      this.#release(member);
    } catch (error) {
      fail(member, error);
    }
  }

  /** Lets a sequence begin with pages of earlier ones; whether there are any. */
  #adopt(member: Member): boolean {
    const { task, sequence } = member;
    if (!task.sharesPrefix || member.alone) return false;
    sequence.adopt(this.#prefixes.find(task.tokens, task.firstOutput));
    if (member.computed === 0) member.reused = sequence.length;
    return sequence.length > 0;
  }

  /** Takes a sequence's pages away; what is in them may be of use to others, or to itself. */
  #release(member: Member): void {
    const { task, sequence, intact } = member;
    if (task.sharesPrefix) this.#prefixes.add(task.tokens, sequence.pages, intact);
    member.clear();
  }

  async #step(planned: readonly PlannedEntry<Member>[]): Promise<void> {
    const entries = planned.map(({ candidate, tokens }) => toEntry(candidate, tokens));
    const outputs = entries.reduce((sum, entry) => sum + entry.outputs, 0);
    try {
      const preparing = this.runner.prepare(entries.length, outputs);
      // Members may come and go meanwhile, so the step is planned anew.
      if (preparing) return await preparing;
      this.#steps++;
      for (const { candidate, tokens } of planned) {
        candidate.served = this.#steps;
        candidate.computed += tokens;
      }
      const result = this.runner.run(entries);
      if (outputs > 0) deliver(planned, entries, await result);
      else await this.#runAhead(planned, result);
    } catch (error) {
      this.#failAll(planned, error);
    }
  }

  /** Ends those who were in a step that failed. Nobody knows what is in their pages. */
  #failAll(planned: readonly PlannedEntry<Member>[], error: unknown): void {
    for (const { candidate } of planned) fail(candidate, error);
    this.#prefixes.clear();
  }

  /** Lets one step without outputs be computed while the next is planned, and no more: whoever comes need not wait long. */
  async #runAhead(planned: readonly PlannedEntry<Member>[], result: Promise<unknown>): Promise<void> {
    const before = this.#inFlight;
    this.#inFlight = result.then(() => undefined, (error) => this.#failAll(planned, error));
    await before;
  }

  #exhausted({ task, pages }: Member): SequenceLengthExceededError {
    const { pool, contextLength } = this.runner;
    const max = Math.min(contextLength, (pages + pool.free) * PAGE_SIZE);
    return new SequenceLengthExceededError({ max, actual: task.tokens.length });
  }
}

function fail(member: Member, error: unknown): void {
  if (member.gone) return;
  member.leave();
  member.task.fail(error);
}

function toEntry({ task, sequence, skipped }: Member, count: number): StepEntry {
  // Of the task's tokens. Those that have left the context come before all that are to be computed.
  const start = sequence.length + skipped;
  const tokens = task.tokens.slice(start, start + count);
  const outputs = Math.max(start + count - Math.max(start, task.firstOutput), 0);
  return { sequence, tokens, outputs, logits: task.needsLogits, stepsToGo: task.stepsToGo };
}

/** Hands the outputs of a step to their tasks. */
function deliver(
  planned: readonly PlannedEntry<Member>[],
  entries: readonly StepEntry[],
  outputs: readonly RowOutput[],
): void {
  let next = 0;
  for (const [i, { candidate }] of planned.entries()) {
    for (let row = 0; row < entries[i].outputs; row++) {
      const output = outputs[next++];
      if (candidate.gone) continue;
      try {
        candidate.task.accept(output);
      } catch (error) {
        fail(candidate, error);
      }
    }
  }
}

function closedError(): InvalidArgumentError {
  return new InvalidArgumentError("the model is closed; load it again");
}
