/**
 * Top-p, or nucleus sampling (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2019).
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";
import { cutAt } from "./select.ts";

/** Covers what sums are rounded by. */
const MARGIN = 0.99;

/** Keeps the fewest likeliest tokens whose probabilities sum to at least `mass`; at least one. */
export function topP(candidates: Candidates, mass: number): void {
  const { logits, length, max, weights, total } = candidates;
  // All of this weight and below together are less than what may go.
  const negligible = MARGIN * (1 - mass) * total / length;
  candidates.keep(logits, { key: candidates.logitOf(negligible), ties: Infinity });
  candidates.keep(logits, cutAt(logits, candidates.length, max, mass * total, weights));
}
