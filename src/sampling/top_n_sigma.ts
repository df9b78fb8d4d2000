/**
 * Top-nσ (Tang et al., "Top-nσ: Not All Logits Are You Need", 2024): what stands out of the noise stays, at any
 * temperature.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";

/** Keeps the tokens whose logits are at most `n` standard deviations below the highest. Impossible tokens do not count. */
export function topNSigma(candidates: Candidates, n: number): void {
  const { logits, length, max } = candidates;
  let [count, sum, squares] = [0, 0, 0];
  for (let i = 0; i < length; i++) {
    // Distances from the highest, so that the squares do not cancel.
    const distance = max - logits[i];
    if (!(distance < Infinity)) continue;
    count++;
    sum += distance;
    squares += distance * distance;
  }
  const variance = squares / count - (sum / count) ** 2;
  const key = max - n * Math.sqrt(Math.max(variance, 0));
  // Not a number where the highest is infinite.
  candidates.keep(logits, { key: key <= max ? key : max, ties: Infinity });
}
