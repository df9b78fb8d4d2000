/**
 * XTC ("exclude top choices"): leaves out the obvious where there is a choice.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";

/** Of the tokens with a probability of at least `threshold`, keeps only the unlikeliest; others stay. */
export function excludeTopChoices(candidates: Candidates, threshold: number): void {
  const { logits, length, weights, total } = candidates;
  // Impossible tokens are no choice.
  const least = Math.max(threshold * total, Number.MIN_VALUE);
  const choices: number[] = [];
  let unlikeliest = -1;
  for (let i = 0; i < length; i++) {
    if (weights[i] < least) continue;
    choices.push(i);
    if (unlikeliest < 0 || logits[i] <= logits[unlikeliest]) unlikeliest = i;
  }
  if (choices.length < 2) return;
  for (const i of choices) if (i !== unlikeliest) logits[i] = -Infinity;
  candidates.keep(logits, { key: -Infinity, ties: 0 });
}
