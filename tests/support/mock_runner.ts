/**
 * A runner without a model: the next token is a function of the tokens so far, which it reads back from the pages that
 * the engine gave them. So a page that is used twice, lost or freed too early shows in the text.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { ContextPlan, PositionKind } from "../../src/generate/context.ts";
import { PagePool, pagesFor, type Sequence } from "../../src/generate/pages.ts";
import type {
  ContextRunner,
  RowOutput,
  StepCapacity,
  StepEntry,
  StepRunner,
} from "../../src/generate/task.ts";
import { PAGE_SIZE } from "../../src/nn/decoder.ts";

/** What a mock is like. */
export interface MockOptions {
  /** The token after these. */
  next(tokens: readonly number[]): number;
  /** Ids are below this. */
  vocabSize: number;
  contextLength: number;
  /** Pages of the cache; by default those of one context. */
  pages?: number;
  capacity?: Partial<StepCapacity>;
  /** Called in the middle of every step; may fail or take its time. */
  compute?(): Promise<void> | void;
}

/** The parts of a step, for tests to look at. */
export type StepLog = { sequence: Sequence; start: number; tokens: number; outputs: number }[];

/** Runs steps by a function. */
export class MockRunner implements StepRunner {
  readonly capacity: StepCapacity;
  readonly pool: PagePool;
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Every step so far. */
  readonly steps: StepLog[] = [];
  readonly context: MockContext;
  readonly #options: MockOptions;
  readonly #slots: Int32Array;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(options: MockOptions) {
    this.#options = options;
    this.contextLength = options.contextLength;
    this.vocabSize = options.vocabSize;
    this.capacity = { rows: 256, mixedRows: 64, sequences: 8, outputs: 64, ...options.capacity };
    this.pool = new PagePool(options.pages ?? pagesFor(options.contextLength));
    this.#slots = new Int32Array(this.pool.size * PAGE_SIZE).fill(-1);
    this.context = new MockContext(this.#slots);
  }

  prepare(): undefined {}

  fork(sequence: Sequence): Sequence {
    return sequence.fork((from, to) => {
      for (const slots of [this.#slots, this.context.keys]) {
        slots.copyWithin(to * PAGE_SIZE, from * PAGE_SIZE, (from + 1) * PAGE_SIZE);
      }
    });
  }

  run(entries: readonly StepEntry[]): Promise<readonly RowOutput[]> {
    const rows = entries.reduce((sum, { tokens }) => sum + tokens.length, 0);
    assertEquals([rows <= this.capacity.rows, entries.length <= this.capacity.sequences], [true, true]);
    this.steps.push(entries.map(({ sequence, tokens, outputs }) => ({
      sequence,
      start: sequence.length,
      tokens: tokens.length,
      outputs,
    })));
    const outputs: RowOutput[] = [];
    for (const { sequence, tokens, outputs: count, logits } of entries) {
      sequence.reserve(tokens.length);
      const start = sequence.length;
      tokens.forEach((token, i) => {
        const slot = sequence.slot(start + i);
        this.#slots[slot] = token;
        this.context.keys[slot] = start + i;
      });
      sequence.advance(tokens.length);
      for (let i = 0; i < sequence.length; i++) assertEquals(this.context.keys[sequence.slot(i)], i);
      for (let length = sequence.length - count + 1; length <= sequence.length; length++) {
        const next = this.#options.next(Array.from({ length }, (_, i) => this.#slots[sequence.slot(i)]));
        outputs.push(logits ? this.#row(next) : next);
      }
    }
    const result = this.#busy.catch(() => undefined).then(async () => {
      await this.#options.compute?.();
      return outputs;
    });
    this.#busy = result;
    return result;
  }

  /** Logits under which the token has as much weight as all others together. */
  #row(next: number): Float32Array {
    const row = new Float32Array(this.vocabSize);
    row[next] = Math.log(this.vocabSize - 1);
    return row;
  }
}

/** Makes room, and knows the position of every key. */
export class MockContext implements ContextRunner {
  readonly positions: PositionKind = "rotary";
  /** Position that the key in each slot is turned by. */
  readonly keys: Int32Array;
  /** How often there was no room for copies. */
  refused = 0;
  /** Pages that were copied. */
  copied = 0;
  readonly #slots: Int32Array;

  constructor(slots: Int32Array) {
    this.#slots = slots;
    this.keys = new Int32Array(slots.length).fill(-1);
  }

  check(): void {}

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  apply(sequence: Sequence, plan: ContextPlan): boolean {
    const enough = sequence.retain(plan, (from, to) => {
      this.copied++;
      for (const slots of [this.#slots, this.keys]) {
        slots.copyWithin(to * PAGE_SIZE, from * PAGE_SIZE, (from + 1) * PAGE_SIZE);
      }
    });
    if (!enough) this.refused++;
    else {
      sequence.pages.forEach((page, i) => {
        for (let j = 0; j < PAGE_SIZE; j++) this.keys[page * PAGE_SIZE + j] += plan.kept[i].ropeShift;
      });
    }
    return enough;
  }
}
