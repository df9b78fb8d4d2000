/**
 * Locally typical sampling (Meister et al., 2022).
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";
import { cutAt } from "./select.ts";

/** Covers what sums are rounded by. */
const MARGIN = 0.99;
/** Room for the keys of one choice; all choices share it. */
let nearness = new Float32Array();

/**
 * Keeps the tokens whose surprise, -ln p, is nearest to the expected one, as few as have the probability `mass`; at
 * least one.
 */
export function typicalP(candidates: Candidates, mass: number): void {
  const { logits, length, weights, total, reference } = candidates;
  // -ln p = (reference - logit) + ln(total): the last term falls out of the distance from the mean, the entropy.
  const expected = candidates.meanDistance;
  // All of this weight and below together are less than what may go, and the likeliest is nearer than they are.
  const negligible = Math.min(MARGIN * (1 - mass) * total / length, Math.exp(-2 * expected - 1));
  candidates.keep(logits, { key: candidates.logitOf(negligible), ties: Infinity });
  if (nearness.length < candidates.length) nearness = new Float32Array(length);
  let nearest = -Infinity;
  for (let i = 0; i < candidates.length; i++) {
    // 0 rather than -0 where they are equal.
    const near = nearness[i] = 0 - Math.abs(surprise(logits[i], reference) - expected);
    if (near > nearest) nearest = near;
  }
  candidates.keep(nearness, cutAt(nearness, candidates.length, nearest, mass * total, weights));
}

/** 0 also where both are infinite. */
function surprise(logit: number, reference: number): number {
  return logit === reference ? 0 : reference - logit;
}
