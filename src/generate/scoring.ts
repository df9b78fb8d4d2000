/**
 * Logits of given tokens.
 *
 * @module
 */
import type { CrossPart } from "./cross_cache.ts";
import type { Engine } from "./engine.ts";
import type { RowOutput, Task, Want } from "./task.ts";

/** Of which tokens the logits are wanted, and who looks at them. */
export interface LogitsRequest {
  /** The sequence. */
  readonly tokens: readonly number[];
  /** Every token's, or the last one's. */
  readonly rows: "every" | "last";
  /** What the encoder has read, in encoder–decoders. */
  readonly cross?: CrossPart;
  /** Shown row by row; a row is valid until this returns. */
  look(logits: Float32Array, row: number): void;
  /** Ends the work. */
  readonly signal?: AbortSignal;
}

/** Computes the logits of every token of a sequence, or of its last one. */
export async function computeLogits(engine: Engine, request: LogitsRequest): Promise<void> {
  const { signal } = request;
  signal?.throwIfAborted();
  const task = new LogitsTask(request);
  const membership = engine.add(task);
  const onAbort = (): void => {
    membership.leave();
    task.fail(signal?.reason);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    membership.wake();
    await task.done;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    membership.leave();
  }
}

class LogitsTask implements Task {
  readonly needsLogits = true;
  readonly sharesPrefix = false;
  readonly tokens: readonly number[];
  readonly cross?: CrossPart;
  readonly #look: LogitsRequest["look"];
  readonly #result = Promise.withResolvers<void>();
  /** The row whose output comes next. */
  #row: number;

  constructor({ tokens, rows, cross, look }: LogitsRequest) {
    this.tokens = tokens;
    this.cross = cross;
    this.#look = look;
    this.#row = rows === "every" ? 0 : tokens.length - 1;
  }

  get wants(): Want {
    return this.#row < this.tokens.length ? "now" : "no";
  }
  get firstOutput(): number {
    return this.#row;
  }

  /** Settled when the last row has been looked at. */
  get done(): Promise<void> {
    return this.#result.promise;
  }

  accept(logits: RowOutput): void {
    if (typeof logits !== "number") this.#look(logits, this.#row++);
    if (this.#row === this.tokens.length) this.#result.resolve();
  }

  fail(error: unknown): void {
    this.#result.reject(error);
  }
}
