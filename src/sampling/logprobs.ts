/**
 * Log-probabilities of the model's own distribution, before any sampling option.
 *
 * @module
 */
import { scratch } from "./candidates.ts";
import { likeliest } from "./top_k.ts";

/** A token and the natural logarithm of its probability. */
export interface TokenLogprob {
  /** The token. */
  readonly id: number;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
}

/** What a row of logits says of its tokens; NaN counts as impossible. It does not change when the row does. */
export class Logprobs {
  readonly #logits: Float32Array;
  readonly #max: number;
  /** ln Σ e^(logit - max). */
  readonly #norm: number;

  /** Copies the row. */
  constructor(logits: Float32Array) {
    this.#logits = logits.slice();
    const { max, total } = scratch.load(this.#logits);
    this.#max = max;
    this.#norm = Math.log(total);
  }

  /** Natural logarithm of a token's probability. */
  of(id: number): number {
    return this.#logprob(this.#logits[id]);
  }

  /** What a chunk says of the token that was chosen: with a number, also the likeliest ones. */
  chosen(id: number, wanted: boolean | number): { logprob: number; topLogprobs?: TokenLogprob[] } {
    const logprob = this.of(id);
    return typeof wanted === "number" ? { logprob, topLogprobs: this.top(wanted) } : { logprob };
  }

  /** The likeliest `count` tokens, likeliest first. */
  top(count: number): TokenLogprob[] {
    if (count === 0) return [];
    return likeliest(this.#logits, count).map(({ id, logit }) => ({ id, logprob: this.#logprob(logit) }));
  }

  #logprob(logit: number): number {
    if (logit === -Infinity) return -Infinity;
    // Infinity less itself.
    return (logit === this.#max ? 0 : logit - this.#max) - this.#norm;
  }
}
