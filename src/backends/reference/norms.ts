/**
 * Norms over the last axis.
 *
 * @module
 */
import type { Kernel } from "./kernel.ts";

/** Layer norm: (x - mean) / sqrt(variance + eps) · weight + bias. */
export const layerNorm: Kernel = (call) => {
  const x = call.input(0);
  const { width, rows } = x;
  const eps = call.number("eps");
  const [from, out] = [x.f32, call.output().f32];
  const [weight, bias] = [call.optional(1)?.f32, call.optional(2)?.f32];
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += from[start + i];
    const mean = sum / width;
    let squares = 0;
    for (let i = 0; i < width; i++) squares += (from[start + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) {
      out[start + i] = (from[start + i] - mean) * scale * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
    }
  }
};

/** RMS norm: x / sqrt(mean(x²) + eps) · (weight + weightOffset). */
export const rmsNorm: Kernel = (call) => {
  const x = call.input(0);
  const { width, rows } = x;
  const [eps, weightOffset] = [call.number("eps"), call.number("weightOffset")];
  const [from, out] = [x.f32, call.output().f32];
  const weight = call.optional(1)?.f32;
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    let squares = 0;
    for (let i = 0; i < width; i++) squares += from[start + i] ** 2;
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) {
      out[start + i] = from[start + i] * scale * (weight ? weight[i] + weightOffset : 1);
    }
  }
};
