/**
 * e^x for many x, about three times as fast as `Math.exp`.
 *
 * @module
 */

/** Where e^x is as good as 0: the smallest normal F32 is e^-87.3. */
const LOWEST = -88;
/** Entries of the table for each power of e: a power of two, so that the remainder is exact. */
const STEPS = 64;
const TABLE = Float64Array.from({ length: -LOWEST * STEPS + 1 }, (_, i) => Math.exp(-i / STEPS));

/**
 * Writes e^((x - max) · scale) for the first `length` of `values`, of which `max` is the highest, and gives their sum.
 * Each is within 3e-14 of itself; what is below e^-88 becomes 0.
 */
export function expInto(
  values: Float32Array,
  length: number,
  max: number,
  scale: number,
  into: Float64Array,
): number {
  const table = TABLE;
  let sum = 0;
  for (let at = 0; at < length; at++) {
    const x = (values[at] - max) * scale;
    let power = 0;
    if (x > LOWEST) {
      const i = (x * -STEPS) | 0;
      // e^x = e^(-i/64) · e^r with -1/64 < r <= 0; the Taylor polynomial of degree 5 leaves r^6/720.
      const r = x + i * (1 / STEPS);
      const r2 = r * r;
      power = table[i] * (1 + r + r2 * (1 / 2 + r * (1 / 6) + r2 * (1 / 24 + r * (1 / 120))));
    } else if (x !== x) {
      // Infinity less itself.
      power = 1;
    }
    into[at] = power;
    sum += power;
  }
  return sum;
}
