/**
 * Rotary position embedding.
 *
 * @module
 */
import type { Kernel } from "./kernel.ts";

/** Cosines and sines of position·inverseFrequency, times `scale`. */
export const ropeTable: Kernel = (call) => {
  const positions = call.input(0).i32;
  const frequencies = call.numbers("inverseFrequencies");
  const scale = call.number("scale");
  const out = call.output().f32;
  const n = frequencies.length;
  for (let t = 0; t < positions.length; t++) {
    for (let i = 0; i < n; i++) {
      const angle = positions[t] * frequencies[i];
      out[t * 2 * n + i] = Math.cos(angle) * scale;
      out[t * 2 * n + n + i] = Math.sin(angle) * scale;
    }
  }
};

/** Rotates the pairs of every head; what is beyond the table's width passes through. */
export const rope: Kernel = (call) => {
  const [x, table] = [call.input(0), call.input(1)];
  const heads = call.number("heads");
  const [rows, width] = x.shape;
  const headDim = width / heads;
  const n = table.width / 2;
  const [step, far] = call.flag("interleaved") ? [2, 1] : [1, n];
  const [from, angles, out] = [x.f32, table.f32, call.output().f32];
  out.set(from);
  for (let t = 0; t < rows; t++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < n; i++) {
        const at = t * width + head * headDim + i * step;
        const [cos, sin] = [angles[t * 2 * n + i], angles[t * 2 * n + n + i]];
        out[at] = from[at] * cos - from[at + far] * sin;
        out[at + far] = from[at + far] * cos + from[at] * sin;
      }
    }
  }
};
