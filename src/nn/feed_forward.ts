/**
 * Feed-forward blocks.
 *
 * @module
 */
import type { Activation } from "../program/ops.ts";
import type { Recorder, Ref } from "../program/recorder.ts";
import { type Linear, linear } from "./linear.ts";

/** Weights of a feed-forward block; with a gate it is SwiGLU, GeGLU and kin. */
export interface FeedForwardWeights {
  /** `[intermediate, hidden]`, goes through the activation in place of `up`. */
  readonly gate?: Linear;
  /** `[intermediate, hidden]`. */
  readonly up: Linear;
  /** `[hidden, intermediate]`. */
  readonly down: Linear;
}

/** down(activation(up(x))), or down(activation(gate(x)) · up(x)) where there is a gate. x: [rows, hidden]. */
export function feedForward(g: Recorder, x: Ref, w: FeedForwardWeights, kind: Activation): Ref {
  if (!w.gate) return linear(g, g.activation(linear(g, x, w.up), kind), w.down);
  const [gate, up] = [linear(g, x, w.gate), linear(g, x, w.up)];
  return linear(g, g.mul(g.activation(gate, kind), up), w.down);
}
