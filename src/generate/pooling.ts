/**
 * Pooling: one vector for a text out of the hidden states of its tokens.
 *
 * @module
 */

import type { Pooling } from "../models/pooling.ts";

/** Poolings that are made of the tokens' vectors alone. */
export type TokenPooling = Exclude<Pooling, "pooler">;

/**
 * The vectors of a text: one, or with `none` one for each token. rows: [tokens, width], one after another.
 *
 * ```ts
 * import { pool } from "./pooling.ts";
 * pool(Float32Array.of(1, 2, 3, 4), 2, "mean"); // [[2, 3]]
 * ```
 */
export function pool(rows: Float32Array, width: number, pooling: TokenPooling): Float32Array[] {
  const count = rows.length / width;
  const row = (i: number): Float32Array => rows.slice(i * width, (i + 1) * width);
  switch (pooling) {
    case "none":
      return Array.from({ length: count }, (_, i) => row(i));
    case "cls":
      return [row(0)];
    case "last":
      return [row(count - 1)];
    case "mean":
      return [Float32Array.from({ length: width }, (_, i) => {
        let sum = 0;
        for (let at = i; at < rows.length; at += width) sum += rows[at];
        return sum / count;
      })];
  }
}

/** The vector divided by its length, so that a dot product of two is their cosine; a vector of zeros stays. */
export function normalize(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length > 0 ? vector.map((x) => x / length) : vector;
}
