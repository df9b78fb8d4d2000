/**
 * XTC ("exclude top choices"): leaves out the obvious where there is a choice.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";

/** Covers what weights are rounded by. */
const MARGIN = 0.99;

/** Of the tokens with a probability of at least `threshold`, keeps only the unlikeliest; others stay. */
export function excludeTopChoices(candidates: Candidates, threshold: number): void {
  const { logits, weights, total } = candidates;
  // Impossible tokens are no choice.
  const least = Math.max(threshold * total, Number.MIN_VALUE);
  const choices = candidates.atLeast(candidates.logitOf(least * MARGIN)).filter((i) => weights[i] >= least);
  if (choices.length < 2) return;
  const unlikeliest = choices.reduce((a, b) => (logits[b] <= logits[a] ? b : a));
  candidates.drop(choices.filter((i) => i !== unlikeliest), logits[unlikeliest]);
}
