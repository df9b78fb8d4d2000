/**
 * The ways in which the vectors of a text's tokens become one.
 *
 * @module
 */

/** Their mean, the first, the last, not at all, or the model's own layer over the first. */
export const POOLINGS = ["mean", "cls", "last", "none", "pooler"] as const;
/** Name of a pooling. */
export type Pooling = typeof POOLINGS[number];
