/**
 * Medians and spreads: what a few repeats say when some of them were disturbed.
 *
 * @module
 */

/** Factor that makes the median absolute deviation of normally distributed figures their standard deviation. */
const MAD_TO_DEVIATION = 1.4826;

/** The middle of the sorted figures, or the mean of the two in the middle; NaN without figures. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * How far figures scatter, as a fraction of their median: 1.4826 times the median absolute deviation, which a single
 * outlier does not move.
 *
 * ```ts
 * import { relativeSpread } from "./statistics.ts";
 * console.log(relativeSpread([100, 101, 99, 102, 40])); // 0.0148
 * ```
 */
export function relativeSpread(figures: readonly number[]): number {
  const middle = median(figures);
  if (figures.length < 2 || middle === 0) return 0;
  return MAD_TO_DEVIATION * median(figures.map((figure) => Math.abs(figure - middle))) / Math.abs(middle);
}
