/**
 * Test data that is the same on every run.
 *
 * @module
 */
import type { DType } from "../../src/tensor/dtype.ts";
import { quantize, WRITABLE } from "../../src/tensor/quantize.ts";
import { randomBlocks } from "./random_blocks.ts";
import type { Packed } from "./rig.ts";

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normally distributed F32 numbers. */
export function normal(count: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const next = uniform(seed);
  return Float32Array.from(
    { length: count },
    () => scale * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}

/** Whole numbers in [0, bound). */
export function integers(count: number, bound: number, seed: number): Int32Array<ArrayBuffer> {
  const next = uniform(seed);
  return Int32Array.from({ length: count }, () => Math.floor(next() * bound));
}

/** A shuffled 0..count-1. */
export function permutation(count: number, seed: number): Int32Array<ArrayBuffer> {
  const next = uniform(seed);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Normally distributed numbers in a dtype; random blocks where it can only be read. */
export function packed(dtype: DType, count: number, seed: number, scale = 1): Packed {
  if (!WRITABLE.includes(dtype)) return { dtype, bytes: randomBlocks(dtype, count, seed, scale) };
  return { dtype, bytes: quantize(dtype, normal(count, seed, scale)) };
}
