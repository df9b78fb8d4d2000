/**
 * What a sequence sees of its text when its context is full, worked out without pages.
 *
 * @module
 */
import type { ContextOptions } from "../../src/generate/context.ts";
import { PAGE_SIZE } from "../../src/nn/decoder.ts";

/** Tokens that a sequence sees, as its text grows. */
export class VisibleTokens {
  /** They, in order. */
  readonly tokens: number[];
  /** How often some have left. */
  departures = 0;
  readonly #max: number;
  readonly #first: number;
  readonly #leave: number;

  /** Those of a prompt, in a context of `max` tokens. */
  constructor(prompt: readonly number[], max: number, { contextFull, keep = 4 }: ContextOptions) {
    this.tokens = [...prompt];
    this.#max = max;
    this.#first = Math.ceil(keep / PAGE_SIZE) * PAGE_SIZE;
    const pages = Math.ceil(max / PAGE_SIZE) - this.#first / PAGE_SIZE - 1;
    this.#leave = (contextFull === "shift" ? Math.max(Math.floor(pages / 2), 1) : 1) * PAGE_SIZE;
  }

  /** Adds a token; others leave where the context is full. */
  push(token: number): void {
    if (this.tokens.length === this.#max) {
      this.tokens.splice(this.#first, this.#leave);
      this.departures++;
    }
    this.tokens.push(token);
  }
}
