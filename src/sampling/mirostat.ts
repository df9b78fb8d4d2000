/**
 * Mirostat (Basu et al., "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity", 2021): keeps
 * the surprise of the text near a target by truncating more or less.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";
import { cutAt } from "./select.ts";
import { topK } from "./top_k.ts";

/** How many of the likeliest tokens tell how steeply probabilities fall. */
const ZIPF_TOKENS = 100;

/**
 * Mirostat 1: keeps the k likeliest tokens, where a vocabulary of `vocabulary` tokens that follows Zipf's law would have
 * the surprise `mu`, in bits.
 */
export function mirostat1(candidates: Candidates, mu: number, vocabulary: number): void {
  const steepness = zipfExponent(candidates);
  const excess = steepness - 1;
  // (1 - n^-ε) / ε, whose limit at 0 is ln n.
  const harmonic = Math.abs(excess) < 1e-9 ? Math.log(vocabulary) : (1 - vocabulary ** -excess) / excess;
  const k = (2 ** mu / harmonic) ** (1 / steepness);
  // Not a number where there are no two tokens to tell the steepness from: nothing to cut.
  if (k === k) topK(candidates, Math.max(Math.trunc(k), 1));
}

/** Mirostat 2: keeps the tokens whose surprise is at most `mu` bits; at least the likeliest. */
export function mirostat2(candidates: Candidates, mu: number): void {
  const { logits, max, total } = candidates;
  const key = candidates.logitOf(total * 2 ** -mu);
  candidates.keep(logits, { key: key <= max ? key : max, ties: Infinity });
}

/** The exponent of Zipf's law, p ~ rank^-s, that fits the likeliest tokens best: least squares over neighbours. */
function zipfExponent(candidates: Candidates): number {
  const best = highest(candidates, ZIPF_TOKENS);
  let [products, squares] = [0, 0];
  for (let rank = 1; rank < best.length; rank++) {
    const step = Math.log((rank + 1) / rank);
    products += step * (best[rank - 1] - best[rank]) / candidates.temperature;
    squares += step * step;
  }
  return products / squares;
}

/** The `count` highest logits, highest first. */
function highest(candidates: Candidates, count: number): Float32Array {
  const { logits, max } = candidates;
  const likely = Float32Array.from(candidates.atLeast(candidates.reachedBy(count)), (i) => logits[i]);
  const { key, ties } = cutAt(likely, likely.length, max, count);
  const above = likely.filter((logit) => logit > key).sort().reverse();
  return Float32Array.of(...above, ...new Array<number>(ties).fill(key));
}
