/**
 * Norms of the residual stream, of whatever kind the model has.
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";

/** Weights of a norm. */
export interface Norm {
  /** `[width]`. */
  readonly weight: Ref;
  /** `[width]`, layer norms only. */
  readonly bias?: Ref;
}

/** Which norm a model uses everywhere. */
export interface NormConfig {
  /** RMS norm, or layer norm with its mean subtracted. */
  readonly kind: "rms" | "layer";
  /** Added to the variance. */
  readonly eps: number;
  /** Added to the weight of an RMS norm: 1 where a model stores it as a difference from 1. */
  readonly weightOffset: number;
}

/** Norm over the last axis; without weights, x itself: not every model has a norm in every place. */
export function norm(g: Recorder, x: Ref, w: Norm | undefined, c: NormConfig): Ref {
  if (!w) return x;
  return c.kind === "rms"
    ? g.rmsNorm(x, w.weight, c.eps, c.weightOffset)
    : g.layerNorm(x, w.weight, w.bias, c.eps);
}
