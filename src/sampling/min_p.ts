/**
 * Min-p (Nguyen et al., "Turning Up the Heat", 2024): the bar is high where the model is sure.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";

/** Keeps the tokens that are at least `fraction` times as likely as the likeliest. */
export function minP(candidates: Candidates, fraction: number): void {
  const { logits, max } = candidates;
  candidates.keep(logits, { key: max + Math.log(fraction), ties: Infinity });
}
