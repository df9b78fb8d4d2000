/**
 * Takes one of the candidates.
 *
 * @module
 */
import type { Candidates } from "./candidates.ts";

/** So many candidates are passed over at once. */
const BLOCK = 64;

/** The index of the candidate that a number in [0, 1) falls on, where each has room by its probability. */
export function draw({ weights, total, length }: Candidates, random: number): number {
  let rest = random * total;
  let at = 0;
  for (; at + BLOCK <= length; at += BLOCK) {
    const room = blockSum(weights, at);
    if (rest < room) break;
    rest -= room;
  }
  for (let i = at; i < length; i++) {
    rest -= weights[i];
    if (rest < 0) return i;
  }
  // Rounding has used up the room of the last one.
  return weights.subarray(0, length).findLastIndex((weight) => weight > 0);
}

/** Four sums, because a processor can add to them at once. */
function blockSum(weights: Float64Array, from: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = from; i < from + BLOCK; i += 4) {
    a += weights[i];
    b += weights[i + 1];
    c += weights[i + 2];
    d += weights[i + 3];
  }
  return a + b + (c + d);
}
