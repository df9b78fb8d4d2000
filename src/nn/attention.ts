/**
 * Self-attention over the paged KV cache.
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";
import type { DecoderInputs } from "./decoder.ts";

/** A weight matrix `[out, in]` and its optional bias `[out]`. */
export interface Linear {
  /** `[out, in]`. */
  readonly weight: Ref;
  /** `[out]`. */
  readonly bias?: Ref;
}

/** Weights of one attention block. */
export interface AttentionWeights {
  /** Queries, `[heads·headDim, hidden]`. */
  readonly query: Linear;
  /** Keys, `[kvHeads·headDim, hidden]`. */
  readonly key: Linear;
  /** Values, `[kvHeads·headDim, hidden]`. */
  readonly value: Linear;
  /** Output projection, `[hidden, heads·headDim]`. */
  readonly output: Linear;
}

/** Sizes of one attention block. */
export interface AttentionConfig {
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; `heads` is a multiple of it. */
  readonly kvHeads: number;
  /** Width of a head. */
  readonly headDim: number;
  /** Rotary pairs are neighbours instead of halves. */
  readonly rope: { readonly interleaved: boolean };
}

/** x · weightᵀ + bias. */
export function linear(g: Recorder, x: Ref, { weight, bias }: Linear): Ref {
  return g.linear(x, weight, bias);
}

/** Projects, rotates, stores keys and values, attends and projects back. x: [rows, hidden]. */
export function attention(
  g: Recorder,
  x: Ref,
  w: AttentionWeights,
  c: AttentionConfig,
  layer: number,
  inputs: DecoderInputs,
): Ref {
  const rotate = (value: Ref, heads: number): Ref =>
    g.record("rope", [value, inputs.ropeTable], { heads, interleaved: c.rope.interleaved })[0];
  const [query, key, value] = [w.query, w.key, w.value].map((projection) => linear(g, x, projection));
  const { keys, values } = inputs.cache(layer);
  g.record("writeKv", [rotate(key, c.kvHeads), value, inputs.slots, keys, values]);
  const [attended] = g.record(
    "pagedAttention",
    [rotate(query, c.heads), keys, values, inputs.lengths, inputs.sequences, inputs.pageTable],
    { heads: c.heads, scale: 1 / Math.sqrt(c.headDim) },
  );
  return linear(g, attended, w.output);
}
