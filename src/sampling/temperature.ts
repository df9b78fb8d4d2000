/**
 * Temperature, fixed or dynamic.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";
import { topK } from "./top_k.ts";

/** Divides the logits by `temperature`; 0 keeps the likeliest token alone. */
export function applyTemperature(candidates: Candidates, temperature: number): void {
  if (temperature === 0) topK(candidates, 1);
  else if (temperature !== 1) candidates.temperature = temperature;
}

/**
 * A temperature of `temperature` ± `range` by the entropy of the candidates: lowest where one is certain, highest where
 * all are as likely. `exponent` bends the way between.
 */
export function dynamicTemperature(
  candidates: Candidates,
  temperature: number,
  range: number,
  exponent: number,
): number {
  const lowest = Math.max(0, temperature - range);
  const highest = temperature + range;
  if (candidates.length < 2) return lowest;
  const share = Math.min(entropy(candidates) / Math.log(candidates.length), 1);
  return lowest + (highest - lowest) * share ** exponent;
}

/** Entropy in nats, -Σ p ln p, where ln p = (logit - reference) / temperature - ln(total). */
function entropy({ total, meanDistance, temperature }: Candidates): number {
  return Math.max(Math.log(total) + meanDistance / temperature, 0);
}
