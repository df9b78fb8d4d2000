/**
 * ALiBi: a bias that grows with the distance between query and key, in place of positional embeddings.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";

/**
 * The slope of each head. For a power of two they are the geometric series 2^(-8/heads), 2^(-16/heads), …; other counts
 * take those of the next smaller power of two, then every second one of the next larger. ("Train Short, Test Long",
 * Press et al. 2022, and its reference code.) `maxBias` takes the place of the 8 where a model says so.
 *
 * ```ts
 * import { alibiSlopes } from "./alibi.ts";
 * alibiSlopes(4); // [0.25, 0.0625, 0.015625, 0.00390625]
 * ```
 */
export function alibiSlopes(heads: number, maxBias = 8): Float32Array<ArrayBuffer> {
  if (!Number.isInteger(heads) || heads < 1) {
    throw new InvalidArgumentError(`alibiSlopes: ${heads} is no number of heads`);
  }
  const closest = 2 ** Math.floor(Math.log2(heads));
  return Float32Array.from(
    { length: heads },
    (_, head) =>
      head < closest
        ? 2 ** ((-maxBias * (head + 1)) / closest)
        : 2 ** ((-maxBias / 2 * (2 * (head - closest) + 1)) / closest),
  );
}
