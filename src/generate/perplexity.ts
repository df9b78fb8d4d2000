/**
 * How well a model predicts a given text.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import { Logprobs } from "../sampling/logprobs.ts";
import type { Engine } from "./engine.ts";
import { computeLogits } from "./scoring.ts";

/** Perplexity of a text. */
export interface Score {
  /** e to the power of `nll`. */
  readonly perplexity: number;
  /** Mean of -ln p over the tokens that were predicted. */
  readonly nll: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

/**
 * Perplexity of a text given as tokens: windows of `window` tokens without overlap, every token after a window's first is
 * predicted from those before it.
 */
export async function perplexity(
  engine: Engine,
  ids: readonly number[],
  window: number,
  signal?: AbortSignal,
): Promise<Score> {
  const { contextLength } = engine.runner;
  if (!Number.isInteger(window) || window < 2 || window > contextLength) {
    throw new InvalidArgumentError(`the window must be 2 to ${contextLength} tokens, not ${window}`);
  }
  let [sum, tokens] = [0, 0];
  for (let start = 0; start + 1 < ids.length; start += window) {
    const part = ids.slice(start, start + window);
    const look = (logits: Float32Array, row: number): void => {
      sum -= new Logprobs(logits).of(part[row + 1]);
      tokens++;
    };
    await computeLogits(engine, { tokens: part.slice(0, -1), rows: "every", look, signal });
  }
  if (tokens === 0) throw new InvalidArgumentError("a text of at least two tokens is needed");
  const nll = sum / tokens;
  return { perplexity: Math.exp(nll), nll, tokens };
}
