/**
 * Logits of given tokens.
 *
 * @module
 */
import type { Engine } from "./engine.ts";
import type { RowOutput, Task, Want } from "./task.ts";

/**
 * Computes the logits of every token of a sequence, or of its last one, and shows them to `look` row by row; a row is
 * valid until `look` returns.
 */
export async function computeLogits(
  engine: Engine,
  tokens: readonly number[],
  rows: "every" | "last",
  look: (logits: Float32Array, row: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const task = new LogitsTask(tokens, rows === "every" ? 0 : tokens.length - 1, look);
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
  readonly #look: (logits: Float32Array, row: number) => void;
  readonly #result = Promise.withResolvers<void>();
  /** The row whose output comes next. */
  #row: number;

  constructor(tokens: readonly number[], first: number, look: (logits: Float32Array, row: number) => void) {
    this.tokens = tokens;
    this.#look = look;
    this.#row = first;
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
