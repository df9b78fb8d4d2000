/**
 * The straight line that a cost by length should be: what a token costs by itself, and what each earlier token adds.
 *
 * @module
 */

/** A measured point. */
export interface Point {
  /** Tokens of context. */
  readonly length: number;
  /** Milliseconds a token. */
  readonly milliseconds: number;
}

/** milliseconds = base + slope·length. */
export interface Line {
  /** Cost without context, in milliseconds. */
  readonly base: number;
  /** What each token of context adds, in milliseconds. */
  readonly slope: number;
  /** The largest distance of a point from the line, as a fraction of the line there. */
  readonly deviation: number;
}

/** The line of least relative squares through the points: at every length, one percent off counts the same. */
export function fitLine(points: readonly Point[]): Line {
  let [s, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0];
  for (const { length, milliseconds } of points) {
    const weight = 1 / milliseconds ** 2;
    s += weight;
    sx += weight * length;
    sy += weight * milliseconds;
    sxx += weight * length ** 2;
    sxy += weight * length * milliseconds;
  }
  const slope = (s * sxy - sx * sy) / (s * sxx - sx ** 2);
  const base = (sy - slope * sx) / s;
  const off = ({ length, milliseconds }: Point): number =>
    Math.abs(milliseconds / (base + slope * length) - 1);
  return { base, slope, deviation: Math.max(...points.map(off)) };
}
