/**
 * Top-p, or nucleus sampling (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2019).
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";
import { cutAt } from "./select.ts";

/** Keeps the fewest likeliest tokens whose probabilities sum to at least `mass`; at least one. */
export function topP(candidates: Candidates, mass: number): void {
  const { logits, length, max, weights, total } = candidates;
  candidates.keep(logits, cutAt(logits, length, max, mass * total, weights));
}
