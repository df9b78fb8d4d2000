/**
 * Takes one of the candidates.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";

/** The index of the candidate that a number in [0, 1) falls on, where each has room by its probability. */
export function draw({ weights, total, length }: Candidates, random: number): number {
  let rest = random * total;
  for (let i = 0; i < length; i++) {
    rest -= weights[i];
    if (rest < 0) return i;
  }
  // Rounding has used up the room of the last one.
  return weights.subarray(0, length).findLastIndex((weight) => weight > 0);
}
