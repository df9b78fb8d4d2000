/**
 * What the engine works on: tasks that want outputs of their rows, and a runner that computes a step.
 *
 * @module
 */
import type { ContextOptions, ContextPlan, PositionKind } from "./context.ts";
import type { CrossPart } from "./cross_cache.ts";
import type { PagePool, Sequence } from "./pages.ts";

/**
 * Whether a task wants to be in the next step: `now`, because somebody waits for it; `ahead`, if there is a step anyway;
 * or `no`.
 */
export type Want = "now" | "ahead" | "no";

/**
 * What a row left behind: the likeliest next token, or logits, [vocabulary], where the task needs them. Logits are valid
 * until `accept` returns, and may be changed.
 */
export type RowOutput = number | Float32Array;

/** A sequence of tokens, and someone who wants to know what comes after them. */
export interface Task {
  /** All its tokens so far. Those that are not in the cache yet are computed next. */
  readonly tokens: readonly number[];
  /** Place of the first token whose row's output is wanted; those of all later ones are, too. */
  readonly firstOutput: number;
  /** Whether the outputs must have logits. */
  readonly needsLogits: boolean;
  /** What the encoder has read, in encoder–decoders. */
  readonly cross?: CrossPart;
  /** What happens when the context is full. Default: it fails. */
  readonly context?: ContextOptions;
  /** How many of its next tokens will be outputs as they are, each with another one wanted behind it. Default: 0. */
  readonly stepsToGo?: number;
  /** Whether it may begin with pages of tasks that began alike, and leave its own to others. */
  readonly sharesPrefix: boolean;
  /** Whether it wants to be in the next step. */
  readonly wants: Want;
  /** Takes an output, in order of the rows. It may add a token, or leave the engine. */
  accept(output: RowOutput): void;
  /** Told that it was put out of the engine, and why. */
  fail(error: unknown): void;
}

/** A task's place in an engine. */
export interface Membership {
  /** How many of its tokens were computed so far, some of them twice where it lost its pages. */
  readonly computed: number;
  /** How many of its tokens were found in pages of earlier tasks when it began. */
  readonly reused: number;
  /** Tells the engine that the task now wants something. */
  wake(): void;
  /** Takes in a task whose tokens begin with those of this one that were computed; it has them at once. */
  fork(task: Task): Membership;
  /** Takes the task out and gives its pages back. Doing it again does nothing. */
  leave(): void;
}

/** A sequence's part of a step. */
export interface StepEntry {
  /** The sequence; the step appends to it. */
  readonly sequence: Sequence;
  /** Tokens to append. */
  readonly tokens: readonly number[];
  /** How many of the last rows give an output. */
  readonly outputs: number;
  /** Whether the outputs must have logits. */
  readonly logits: boolean;
  /** In how many of the next steps the sequence is likely to be, each with its output as the token of the next. Default: 0. */
  readonly stepsToGo?: number;
  /** How many tokens come before, in steps that are begun ahead. Default: 0. */
  readonly behind?: number;
}

/** What is computed in one step at most. */
export interface StepCapacity {
  /** Rows. */
  readonly rows: number;
  /** Rows of prompts, beside sequences that decode. */
  readonly mixedRows: number;
  /** Sequences. */
  readonly sequences: number;
  /** Rows with an output. */
  readonly outputs: number;
}

/** Makes room in sequences whose context is full. */
export interface ContextRunner {
  /** How tokens know where they stand. */
  readonly positions: PositionKind;
  /**
   * Checks that the backend can do it.
   *
   * @throws {UnsupportedOpError} where it cannot.
   */
  check(): void;
  /** Gets ready; to be awaited before the first `apply`. */
  prepare(): Promise<void>;
  /**
   * Makes of a sequence what a plan says, after the steps so far and before the next.
   *
   * @returns Whether there were pages for what must be copied; if not, the sequence stays as it was.
   */
  apply(sequence: Sequence, plan: ContextPlan): boolean;
}

/** Computes steps. */
export interface StepRunner {
  /** The most of one step. */
  readonly capacity: StepCapacity;
  /** Longest sequence, in tokens. */
  readonly contextLength: number;
  /** Token ids are below this. */
  readonly vocabSize: number;
  /** The pages of all sequences. */
  readonly pool: PagePool;
  /** What makes room where a context is full; without it that is always an error. */
  readonly context?: ContextRunner;
  /** Gets ready for steps of so many sequences and outputs; nothing where it is. */
  prepare(sequences: number, outputs: number): Promise<void> | undefined;
  /** A second sequence with the same tokens; takes a page where the last one is partly filled. */
  fork(sequence: Sequence): Sequence;
  /**
   * Computes a step and gives the outputs in order of the entries. When it returns its promise, tokens count as
   * written, and what is asked for later is done later.
   */
  run(entries: readonly StepEntry[]): Promise<readonly RowOutput[]>;
}
