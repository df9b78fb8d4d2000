/**
 * Attention over dense keys and values, and over the pages of a cache.
 *
 * @module
 */
import type { HostTensor } from "./host_tensor.ts";
import type { Kernel } from "./kernel.ts";
import { checkIndex } from "./rows.ts";

/** What one query head sees. */
interface Query {
  /** The query vector. */
  readonly vector: Float32Array;
  /** Position of the query among the keys. */
  readonly position: number;
  /** Slope of ALiBi for this head; 0 for none. */
  readonly slope: number;
  /** What is added to the score of a key, beside ALiBi. */
  bias?(position: number): number;
  /** Positions of the keys that it sees. */
  readonly visible: readonly number[];
  /** Key at a position; valid until the next call. */
  key(position: number): Float32Array;
  /** Value at a position; valid until the next call. */
  value(position: number): Float32Array;
}

/** How scores are made: scale, then softcap, then the biases. */
interface Scoring {
  readonly scale: number;
  readonly softcap: number;
}

/** softmax(scores) · values for one query head. A query that sees no key gives zeros. */
function attend(query: Query, { scale, softcap }: Scoring, out: Float32Array): void {
  const { vector, visible, slope, position } = query;
  const scores = visible.map((j) => {
    const key = query.key(j);
    let score = 0;
    for (let i = 0; i < vector.length; i++) score += vector[i] * key[i];
    score *= scale;
    if (softcap > 0) score = softcap * Math.tanh(score / softcap);
    if (query.bias) score += query.bias(j);
    return slope === 0 ? score : score + slope * (j - position);
  });
  const peak = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - peak));
  const total = weights.reduce((a, b) => a + b, 0);
  const sums = new Float64Array(out.length);
  visible.forEach((j, n) => {
    const value = query.value(j);
    for (let i = 0; i < sums.length; i++) sums[i] += weights[n] * value[i];
  });
  for (let i = 0; i < out.length; i++) out[i] = visible.length === 0 ? 0 : sums[i] / total;
}

/** Positions from..to (without `to`) that lie in a window which ends at the query; 0 is no window. */
function windowed(to: number, position: number, window: number): number[] {
  const from = window > 0 ? Math.max(0, position - window + 1) : 0;
  return Array.from({ length: Math.max(to - from, 0) }, (_, i) => from + i);
}

/** The bias of a head at a distance; the table's ends stand for all that lies beyond. table: [2·D + 1, heads]. */
function relativeBias(table: HostTensor, head: number, distance: number): number {
  const [distances, heads] = table.shape;
  const farthest = (distances - 1) / 2;
  return table.f32[(Math.min(Math.max(distance, -farthest), farthest) + farthest) * heads + head];
}

/** Reads a mask or bias over the scores [B, heads, T, S], of which the first three dimensions may be 1. */
function scoreReader(
  scores: HostTensor | undefined,
): ((batch: number, head: number, query: number, key: number) => number) | undefined {
  if (!scores) return undefined;
  const [batches, heads, queries, keys] = scores.shape.length === 2
    ? [scores.shape[0], 1, 1, scores.shape[1]]
    : scores.shape;
  const [all, at] = [scores.f32, (i: number, dim: number): number => (dim === 1 ? 0 : i)];
  return (b, h, t, j) => all[((at(b, batches) * heads + at(h, heads)) * queries + at(t, queries)) * keys + j];
}

/** Dense attention. */
export const attention: Kernel = (call) => {
  const [q, k, v] = [call.input(0), call.input(1), call.input(2)];
  const [mask, slopes] = [scoreReader(call.optional(3)), call.optional(4)?.f32];
  const bias = scoreReader(call.optional(5));
  const [causal, past, window] = [call.flag("causal"), call.number("past"), call.number("window")];
  const scoring = { scale: call.number("scale"), softcap: call.number("softcap") };
  const [batches, heads, queries, headDim] = q.shape;
  const [, kvHeads, keys] = k.shape;
  const [from, out] = [q.f32, call.output().f32];
  const [keyAt, valueAt] = [k.rowReader(), v.rowReader()];
  for (let b = 0; b < batches; b++) {
    for (let h = 0; h < heads; h++) {
      const kvHead = b * kvHeads + Math.floor((h * kvHeads) / heads);
      for (let t = 0; t < queries; t++) {
        const row = (b * heads + h) * queries + t;
        const position = t + past;
        const end = causal ? Math.min(keys, position + 1) : keys;
        attend(
          {
            vector: from.subarray(row * headDim, (row + 1) * headDim),
            position,
            slope: slopes ? slopes[h] : 0,
            visible: windowed(end, position, window).filter((j) =>
              mask?.(b, h, t, j) !== 0 && bias?.(b, h, t, j) !== -Infinity
            ),
            ...(bias ? { bias: (j: number) => bias(b, h, t, j) } : {}),
            key: (j) => keyAt(kvHead * keys + j),
            value: (j) => valueAt(kvHead * keys + j),
          },
          scoring,
          out.subarray(row * v.width, (row + 1) * v.width),
        );
      }
    }
  }
};

/** Attention of each row over its sequence's pages. */
export const pagedAttention: Kernel = (call) => {
  const [q, keyCache, valueCache] = [call.input(0), call.input(1), call.input(2)];
  const [lengths, sequences] = [call.input(3).i32, call.input(4).i32];
  const [table, slopes] = [call.input(5), call.optional(6)?.f32];
  const [bias, positions] = [call.optional(7), call.optional(8)?.i32];
  const [heads, window] = [call.number("heads"), call.number("window")];
  const scoring = { scale: call.number("scale"), softcap: call.number("softcap") };
  const [pages, kvHeads, pageSize] = keyCache.shape;
  // A cache of blocks is wider than its heads.
  const [headDim, valueDim] = [q.width / heads, call.output().width / heads];
  const [lines, maxPages] = table.shape;
  const [from, out, pageTable] = [q.f32, call.output().f32, table.i32];
  const [keyAt, valueAt] = [keyCache.rowReader(), valueCache.rowReader()];
  for (let t = 0; t < lengths.length; t++) {
    const line = checkIndex("pagedAttention: the sequence", sequences[t], lines);
    checkIndex("pagedAttention: the length", lengths[t], maxPages * pageSize + 1);
    for (let h = 0; h < heads; h++) {
      const kvHead = Math.floor((h * kvHeads) / heads);
      /** Which vector of the cache holds a position. */
      const vectorOf = (j: number): number => {
        const page = pageTable[line * maxPages + Math.floor(j / pageSize)];
        checkIndex("pagedAttention: the page", page, pages);
        return (page * kvHeads + kvHead) * pageSize + (j % pageSize);
      };
      const row = t * heads + h;
      const position = positions ? positions[t] : lengths[t] - 1;
      attend(
        {
          vector: from.subarray(row * headDim, (row + 1) * headDim),
          position,
          slope: slopes ? slopes[h] : 0,
          ...(bias ? { bias: (j: number) => relativeBias(bias, h, j - position) } : {}),
          visible: windowed(lengths[t], lengths[t] - 1, window),
          key: (j) => keyAt(vectorOf(j)),
          value: (j) => valueAt(vectorOf(j)),
        },
        scoring,
        out.subarray(row * valueDim, (row + 1) * valueDim),
      );
    }
  }
};
