/**
 * Assigns temporaries to a few buffers. WebGPU forbids one buffer as both read and written in a dispatch, so a buffer
 * holds one temporary at a time, and the inputs and outputs of an op never share one.
 *
 * @module
 */
import type { Lifetime } from "../../program/plan.ts";

/** Which buffer holds each temporary. */
export interface Assignment {
  /** Bytes of each buffer. */
  readonly sizes: readonly number[];
  /** Position in `sizes` by value id. */
  readonly slots: ReadonlyMap<number, number>;
}

/** Linear scan: the smallest free buffer that fits, else the largest free one grows, else there is one more. */
export function assignTemporaries(lifetimes: readonly Lifetime[]): Assignment {
  const buffers: { bytes: number; last: number }[] = [];
  const slots = new Map<number, number>();
  for (const span of [...lifetimes].sort((a, b) => a.first - b.first || b.bytes - a.bytes)) {
    const free = buffers.filter((buffer) => buffer.last < span.first).sort((a, b) => a.bytes - b.bytes);
    let chosen = free.find((buffer) => buffer.bytes >= span.bytes) ?? free.at(-1);
    if (!chosen) {
      chosen = { bytes: 0, last: 0 };
      buffers.push(chosen);
    }
    chosen.bytes = Math.max(chosen.bytes, span.bytes);
    chosen.last = span.last;
    slots.set(span.id, buffers.indexOf(chosen));
  }
  return { sizes: buffers.map((buffer) => buffer.bytes), slots };
}
