/**
 * Feed-forward blocks.
 *
 * @module
 */
import type { Activation } from "../program/ops.ts";
import type { Recorder, Ref } from "../program/recorder.ts";
import { type Linear, linear } from "./attention.ts";

/** Weights of a gated feed-forward block (SwiGLU, GeGLU). */
export interface GatedFeedForwardWeights {
  /** `[intermediate, hidden]`, goes through the activation. */
  readonly gate: Linear;
  /** `[intermediate, hidden]`, multiplied with it. */
  readonly up: Linear;
  /** `[hidden, intermediate]`. */
  readonly down: Linear;
}

/** down(activation(gate(x)) * up(x)). x: [rows, hidden]. */
export function gatedFeedForward(g: Recorder, x: Ref, w: GatedFeedForwardWeights, kind: Activation): Ref {
  const [gate, up] = [linear(g, x, w.gate), linear(g, x, w.up)];
  return linear(g, g.mul(g.activation(gate, kind), up), w.down);
}
