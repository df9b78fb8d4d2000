/**
 * A matrix with its bias.
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";

/** A weight matrix `[out, in]` and its optional bias `[out]`. */
export interface Linear {
  /** `[out, in]`. */
  readonly weight: Ref;
  /** `[out]`. */
  readonly bias?: Ref;
}

/** x · weightᵀ + bias. */
export function linear(g: Recorder, x: Ref, { weight, bias }: Linear): Ref {
  return g.linear(x, weight, bias);
}
