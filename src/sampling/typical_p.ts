/**
 * Locally typical sampling (Meister et al., 2022).
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";
import { cutAt } from "./select.ts";

/**
 * Keeps the tokens whose surprise, -ln p, is nearest to the expected one, as few as have the probability `mass`; at
 * least one.
 */
export function typicalP(candidates: Candidates, mass: number): void {
  const { logits, length, weights, total, reference } = candidates;
  // -ln p = (reference - logit) + ln(total): the last term falls out of the distance from the mean, the entropy.
  let sum = 0;
  for (let i = 0; i < length; i++) if (weights[i] > 0) sum += weights[i] * surprise(logits[i], reference);
  const expected = sum / total;
  const nearness = new Float32Array(length);
  let nearest = -Infinity;
  for (let i = 0; i < length; i++) {
    // 0 rather than -0 where they are equal.
    const near = nearness[i] = 0 - Math.abs(surprise(logits[i], reference) - expected);
    if (near > nearest) nearest = near;
  }
  candidates.keep(nearness, cutAt(nearness, length, nearest, mass * total, weights));
}

/** 0 also where both are infinite. */
function surprise(logit: number, reference: number): number {
  return logit === reference ? 0 : reference - logit;
}
