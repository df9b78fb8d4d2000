/**
 * Top-k (Fan et al., "Hierarchical Neural Story Generation", 2018).
 *
 * @module
 */
import { type Candidates, scratch } from "./candidates.ts";
import { cutAt } from "./select.ts";

/** Keeps the `k` likeliest tokens; of equally likely ones those of lower ids. */
export function topK(candidates: Candidates, k: number): void {
  const { logits, max } = candidates;
  if (k >= candidates.length) return;
  // Mostly few are left of this, and the cut is exact.
  candidates.keep(logits, { key: candidates.reachedBy(k), ties: Infinity });
  candidates.keep(logits, cutAt(logits, candidates.length, max, k));
}

/** The likeliest `count` tokens of a row that stays as it is, likeliest first; equal ones in order of their ids. */
export function likeliest(row: Float32Array, count: number): { id: number; logit: number }[] {
  const candidates = scratch.load(row.slice());
  topK(candidates, count);
  const { logits, length } = candidates;
  return Array.from({ length }, (_, i) => ({ id: candidates.id(i), logit: logits[i] }))
    .sort((a, b) => (a.logit === b.logit ? 0 : b.logit - a.logit) || a.id - b.id);
}
