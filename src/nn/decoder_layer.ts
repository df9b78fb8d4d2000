/**
 * One layer: attention, feed-forward block, their norms, and how they join the residual stream.
 *
 * @module
 */
import type { Activation } from "../program/ops.ts";
import type { Recorder, Ref } from "../program/recorder.ts";
import {
  attention,
  type AttentionConfig,
  type AttentionWeights,
  crossAttention,
  type CrossAttentionWeights,
} from "./attention.ts";
import { allRows, type DecoderInputs, wantedRows } from "./decoder.ts";
import { experts, type ExpertsConfig, type ExpertsWeights } from "./experts.ts";
import { feedForward, type FeedForwardWeights } from "./feed_forward.ts";
import { type Norm, norm } from "./norm.ts";

/** Weights of one layer. A norm that is absent is not applied. */
export interface LayerWeights {
  /** Before attention. */
  readonly attentionNorm?: Norm;
  /** The attention block. */
  readonly attention: AttentionWeights;
  /** After attention, before the sum. */
  readonly attentionPostNorm?: Norm;
  /** After the sum. */
  readonly attentionSumNorm?: Norm;
  /** The block that attends to an encoder's output, and the norms before it and after its sum. */
  readonly cross?: { readonly norm?: Norm; readonly block: CrossAttentionWeights; readonly sumNorm?: Norm };
  /** Before the feed-forward block; a parallel layer without it feeds both blocks from `attentionNorm`. */
  readonly feedForwardNorm?: Norm;
  /** The feed-forward block, or the experts in its place. */
  readonly feedForward: FeedForwardWeights | ExpertsWeights;
  /** After the feed-forward block, before the sum. */
  readonly feedForwardPostNorm?: Norm;
  /** After the sum. */
  readonly feedForwardSumNorm?: Norm;
}

/** What the layers of a model have in common. */
export interface LayerConfig extends AttentionConfig {
  /** Activation of the feed-forward block. */
  readonly activation: Activation;
  /** Both blocks read the layer's input, and their results are added at once. */
  readonly parallelResidual: boolean;
  /** How experts are used, in models that have them. */
  readonly experts?: ExpertsConfig;
}

/**
 * x: [rows, hidden]; gives [rows, hidden], or [outputs, hidden] where not all rows are wanted: behind the layer's last
 * attention, which needs the keys and values of all of them, the others are not computed.
 */
export function decoderLayer(
  g: Recorder,
  x: Ref,
  w: LayerWeights,
  c: LayerConfig,
  layer: number,
  inputs: DecoderInputs,
): Ref {
  const normed = norm(g, x, w.attentionNorm, c.norm);
  const own = w.cross && inputs.cross ? allRows(inputs) : inputs;
  const attended = attention(g, normed, w.attention, c, layer, own);
  const first = norm(g, attended, w.attentionPostNorm, c.norm);
  const forward = (input: Ref): Ref => norm(g, block(g, input, w, c), w.feedForwardPostNorm, c.norm);
  const kept = wantedRows(g, x, own);
  if (c.parallelResidual) {
    const input = w.feedForwardNorm ? norm(g, kept, w.feedForwardNorm, c.norm) : wantedRows(g, normed, own);
    return g.add(kept, g.add(first, forward(input)));
  }
  const middle = crossBlock(g, norm(g, g.add(kept, first), w.attentionSumNorm, c.norm), w, c, layer, inputs);
  const sum = g.add(middle, forward(norm(g, middle, w.feedForwardNorm, c.norm)));
  return norm(g, sum, w.feedForwardSumNorm, c.norm);
}

function crossBlock(
  g: Recorder,
  x: Ref,
  { cross: w }: LayerWeights,
  c: LayerConfig,
  layer: number,
  inputs: DecoderInputs,
): Ref {
  const { cross } = inputs;
  if (!w || !cross) return x;
  const attended = crossAttention(g, norm(g, x, w.norm, c.norm), w.block, c, layer, { ...inputs, cross });
  return norm(g, g.add(wantedRows(g, x, inputs), attended), w.sumNorm, c.norm);
}

function block(g: Recorder, x: Ref, { feedForward: w }: LayerWeights, c: LayerConfig): Ref {
  return "router" in w && c.experts
    ? experts(g, x, w, c.experts, c.activation)
    : feedForward(g, x, w as FeedForwardWeights, c.activation);
}
