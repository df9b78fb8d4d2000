/**
 * What the machine can do at most, measured with the backend's own kernels.
 *
 * @module
 */
import type { Backend, Buffer, WeightHandle } from "../backends/backend.ts";
import { Recorder } from "../program/recorder.ts";
import { StepRecord } from "../program/step.ts";
import { byteLength } from "../tensor/dtype.ts";

/** The most that one thread has been seen to do. */
export interface Roof {
  /** Thousands of millions of multiply-adds a second: a Q4_0 matmul of many rows, its weights in the cache. */
  readonly gigaMultiplyAdds: number;
  /** Thousands of millions of bytes a second: one row against F32 weights that no cache holds. */
  readonly gigabytes: number;
}

/** Repeats; the best one counts. */
const REPEATS = 5;

/** Measures the roof; nothing where the backend cannot take the time of an op. */
export async function measureRoof(backend: Backend): Promise<Roof | undefined> {
  const compute = await timeLinear(backend, "q4_0", 512, 1024, 256);
  // 64 MiB.
  const memory = await timeLinear(backend, "f32", 8192, 2048, 1);
  if (compute === undefined || memory === undefined) return undefined;
  return { gigaMultiplyAdds: 512 * 1024 * 256 / compute / 1e6, gigabytes: 4 * 8192 * 2048 / memory / 1e6 };
}

/** Milliseconds of a linear of `rows` rows, the best of several. */
async function timeLinear(
  backend: Backend,
  dtype: "f32" | "q4_0",
  out: number,
  inward: number,
  rows: number,
): Promise<number | undefined> {
  const bytes = byteLength(dtype, out * inward);
  // Zeros cost what other numbers do.
  const source = {
    dtype,
    byteLength: bytes,
    read: (_: number, length: number) => Promise.resolve(new Uint8Array(length)),
  };
  const g = new Recorder("roof", { rows, outputs: 0 });
  g.output("y", g.linear(g.input("x", "f32", [rows, inward]), g.weight("w", dtype, [out, inward])));
  const program = g.finish();
  const weight = await backend.upload({ name: "w", dtype, shape: [out, inward], layout: "packed" }, source);
  const [x, y] = [backend.alloc(4 * rows * inward), backend.alloc(4 * rows * out)];
  try {
    using executable = await backend.compile(
      program,
      new Map<string, Buffer | WeightHandle>([["w", weight], ["x", x], ["y", y]]),
    );
    const step = new StepRecord(program);
    step.setCounts(rows, 0);
    let best: number | undefined;
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const times = executable.profile?.(step);
      if (!times) return undefined;
      const time = times.milliseconds.reduce((sum, each) => sum + each, 0);
      best = Math.min(best ?? Infinity, time);
    }
    return best;
  } finally {
    backend.freeWeight(weight);
    backend.free(x);
    backend.free(y);
  }
}
