/**
 * Attention over the paged KV cache: of a sequence to itself, and of a decoder to its encoder's output.
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";
import { type CrossInputs, type DecoderInputs, wantedRows } from "./decoder.ts";
import { type Linear, linear } from "./linear.ts";
import { type Norm, norm, type NormConfig } from "./norm.ts";

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
  /** Norm of the queries before they are rotated: of each head, or where it is longer than a head, of all at once. */
  readonly queryNorm?: Norm;
  /** As `queryNorm`, of the keys. */
  readonly keyNorm?: Norm;
}

/** What the attention blocks of a model have in common. */
export interface AttentionConfig {
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; `heads` is a multiple of it. */
  readonly kvHeads: number;
  /** Width of a head. */
  readonly headDim: number;
  /** Factor of the scores, mostly 1/√headDim. */
  readonly attentionScale: number;
  /** Scores are bent to cap·tanh(score/cap); 0 leaves them. */
  readonly attentionSoftcap: number;
  /** Tokens that each layer sees, the token itself included; 0 is all. */
  readonly windows: readonly number[];
  /** Norms of queries and keys are of this kind. */
  readonly norm: NormConfig;
}

/**
 * Projects, norms, rotates, stores keys and values, attends, and projects the wanted rows back. x: [rows, hidden]; gives
 * [rows, hidden], or [outputs, hidden] where not all rows are wanted.
 */
export function attention(
  g: Recorder,
  x: Ref,
  w: AttentionWeights,
  c: AttentionConfig,
  layer: number,
  inputs: DecoderInputs,
): Ref {
  const rope = inputs.rope(layer);
  const position = (value: Ref, heads: number, weights: Norm | undefined): Ref => {
    const normed = headNorm(g, value, weights, c);
    if (!rope) return normed;
    return g.record("rope", [normed, rope.table], { heads, interleaved: rope.interleaved })[0];
  };
  const [query, key, value] = [w.query, w.key, w.value].map((projection) => linear(g, x, projection));
  const { keys, values } = inputs.cache(layer);
  g.record("writeKv", [position(key, c.kvHeads, w.keyNorm), value, inputs.slots, keys, values]);
  const [attended] = g.record(
    "pagedAttention",
    [
      position(query, c.heads, w.queryNorm),
      keys,
      values,
      inputs.lengths,
      inputs.sequences,
      inputs.pageTable,
      inputs.slopes,
      inputs.bias,
      inputs.bias && inputs.positions,
    ],
    { heads: c.heads, scale: c.attentionScale, softcap: c.attentionSoftcap, window: c.windows[layer] },
  );
  return linear(g, wantedRows(g, attended, inputs), w.output);
}

/** Weights of a block that attends to the encoder's output; the encoder has applied those of keys and values. */
export type CrossAttentionWeights = Pick<AttentionWeights, "query" | "output">;

/** Attends to the keys and values that the encoder has left. x: [rows, hidden]; gives what `attention` does. */
export function crossAttention(
  g: Recorder,
  x: Ref,
  w: CrossAttentionWeights,
  c: AttentionConfig,
  layer: number,
  { sequences, cross, outputRows }: Pick<DecoderInputs, "sequences" | "outputRows"> & {
    readonly cross: CrossInputs;
  },
): Ref {
  const { keys, values } = cross.cache(layer);
  const [attended] = g.record(
    "pagedAttention",
    [linear(g, x, w.query), keys, values, cross.lengths, sequences, cross.pageTable],
    { heads: c.heads, scale: c.attentionScale },
  );
  return linear(g, wantedRows(g, attended, { outputRows }), w.output);
}

/** x: [rows, heads·headDim]; a weight of headDim norms each head by itself. */
function headNorm(g: Recorder, x: Ref, w: Norm | undefined, c: AttentionConfig): Ref {
  const width = x.shape[1] as number;
  if (!w || w.weight.shape[0] === width) return norm(g, x, w, c.norm);
  const heads = g.reshape(x, [x.shape[0], width / c.headDim, c.headDim]);
  return g.reshape(norm(g, heads, w, c.norm), x.shape);
}
