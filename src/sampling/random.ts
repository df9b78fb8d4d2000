/**
 * Counter-based random numbers: a draw depends on seed, stream and position only, never on what was drawn before.
 *
 * @module
 */

// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011).
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

function highWord(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  return (aHigh * bHigh + Math.floor((middle + aLow * bHigh) / 0x10000)) >>> 0;
}

/** Four random 32-bit words of a 128-bit counter under a 64-bit key. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = [highWord(MULTIPLIER_0, c0), Math.imul(MULTIPLIER_0, c0) >>> 0];
    const [high1, low1] = [highWord(MULTIPLIER_1, c2), Math.imul(MULTIPLIER_1, c2) >>> 0];
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    [k0, k1] = [(k0 + WEYL_0) >>> 0, (k1 + WEYL_1) >>> 0];
  }
  return [c0, c1, c2, c3];
}

/**
 * A number in [0, 1) with 53 random bits for draw number `draw` at a position of a sequence.
 *
 * ```ts
 * import { uniform } from "./random.ts";
 * console.assert(uniform(1, 7) === uniform(1, 7));
 * ```
 */
export function uniform(seed: number, position: number, draw = 0): number {
  const key: [number, number] = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
  const [high, low] = philox([position >>> 0, draw >>> 0, 0, 0], key);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}
