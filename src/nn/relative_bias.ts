/**
 * Relative position bias: each head adds a learned number to a score, by the distance of key and query. Distances are
 * put into buckets, near ones one each, far ones ever more to a bucket. ("Exploring the Limits of Transfer Learning",
 * Raffel et al. 2020; bucket formula of its reference code.)
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";

/** Buckets of a model. */
export interface RelativeBiasConfig {
  /** Number of buckets. */
  readonly buckets: number;
  /** From this distance on all keys share the last bucket, in tokens. */
  readonly maxDistance: number;
}

/**
 * Bucket of every distance key - query from -maxDistance to maxDistance. Bidirectional: half of the buckets are for keys
 * behind the query, half for those ahead; else keys ahead share bucket 0 with the query itself.
 *
 * ```ts
 * import { relativeBuckets } from "./relative_bias.ts";
 * relativeBuckets({ buckets: 4, maxDistance: 4 }, false); // [3, 3, 2, 1, 0, 0, 0, 0, 0]
 * ```
 */
export function relativeBuckets(
  { buckets, maxDistance }: RelativeBiasConfig,
  bidirectional: boolean,
): Int32Array {
  const count = bidirectional ? buckets >> 1 : buckets;
  const exact = count >> 1;
  // The reference computes in F32, and whole results decide between two buckets.
  const ratio = Math.fround(Math.log(maxDistance / exact));
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    const place = Math.fround(Math.fround(Math.log(Math.fround(distance / exact))) / ratio);
    return Math.min(exact + Math.floor(Math.fround(place * (count - exact))), count - 1);
  };
  return Int32Array.from({ length: 2 * maxDistance + 1 }, (_, i) => {
    const ahead = i - maxDistance;
    if (!bidirectional) return bucketOf(Math.max(-ahead, 0));
    return bucketOf(Math.abs(ahead)) + (ahead > 0 ? count : 0);
  });
}

/** The biases by distance, [2·maxDistance + 1, heads], from those by bucket: table [buckets, heads]. */
export function relativeBias(g: Recorder, table: Ref, c: RelativeBiasConfig, bidirectional: boolean): Ref {
  const buckets = relativeBuckets(c, bidirectional);
  return g.embed(g.constant("relativeBuckets", buckets, [buckets.length]), table);
}
