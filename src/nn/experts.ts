/**
 * Mixture of experts: a router sends each token through a few of many feed-forward blocks.
 *
 * @module
 */
import type { Activation } from "../program/ops.ts";
import type { Recorder, Ref } from "../program/recorder.ts";
import { feedForward, type FeedForwardWeights } from "./feed_forward.ts";
import { type Linear, linear } from "./linear.ts";

/** Weights of a block of experts; those of all experts are one matrix, one expert after another. */
export interface ExpertsWeights {
  /** Scores of the experts, `[experts, hidden]`. */
  readonly router: Linear;
  /** `[experts·intermediate, hidden]`. */
  readonly gate: Ref;
  /** `[experts·intermediate, hidden]`. */
  readonly up: Ref;
  /** `[experts·hidden, intermediate]`. */
  readonly down: Ref;
  /** A block that every token goes through, and its weight `[1, hidden]`. */
  readonly shared?: { readonly block: FeedForwardWeights; readonly router: Linear };
}

/** How the experts of a model are used. */
export interface ExpertsConfig {
  /** Experts of a layer. */
  readonly count: number;
  /** Experts that a token goes through. */
  readonly used: number;
  /** Width of an expert. */
  readonly intermediateSize: number;
  /** Width of the block that every token goes through; 0 where there is none. */
  readonly sharedSize: number;
  /** The probabilities of the chosen experts are made to sum to 1. */
  readonly normalized: boolean;
}

/** Σ probability·expert(x) over the likeliest experts, and the shared block. x: [rows, hidden]. */
export function experts(g: Recorder, x: Ref, w: ExpertsWeights, c: ExpertsConfig, kind: Activation): Ref {
  const { values, positions } = g.topK(g.softmax(linear(g, x, w.router)), c.used);
  const shares = c.normalized ? g.div(values, g.reduce(values, "sum", -1, true)) : values;
  const multiply = (input: Ref, weight: Ref): Ref => g.matmulExperts(input, weight, positions, c.count);
  const [gate, up] = [multiply(x, w.gate), multiply(x, w.up)];
  // [rows, used, hidden]
  const results = multiply(g.mul(g.activation(gate, kind), up), w.down);
  const sum = g.reduce(g.mul(results, g.reshape(shares, [shares.shape[0], c.used, 1])), "sum", 1);
  if (!w.shared) return sum;
  const open = g.activation(linear(g, x, w.shared.router), "sigmoid");
  return g.add(sum, g.mul(feedForward(g, x, w.shared.block, kind), open));
}
