/** Cases of dense attention, and all of attention. @module */
import type { Attrs } from "../../../src/program/program.ts";
import { normal } from "../../support/random.ts";
import type { OpCase } from "../case.ts";
import { pagedAttentionCases } from "./paged_attention.ts";

/** What a dense case varies. */
interface DenseOptions {
  batch?: number;
  heads?: number;
  kvHeads?: number;
  queries?: number;
  keys?: number;
  headDim?: number;
  valueDim?: number;
  mask?: Float32Array;
  /** Shape of the mask; [batch, keys] where it is absent. */
  maskShape?: readonly number[];
  slopes?: boolean;
  bias?: { readonly data: Float32Array; readonly shape: readonly number[] };
  attrs?: Attrs;
}

function dense(name: string, options: DenseOptions): OpCase {
  const { batch = 2, heads = 4, kvHeads = 2, queries = 5, keys = 9, headDim = 8 } = options;
  const { valueDim = headDim, mask, maskShape = [batch, keys], slopes, bias, attrs = {} } = options;
  return {
    name: `attention ${name}`,
    record(g) {
      const inputs = [
        g.input("q", "f32", [batch, heads, queries, headDim]),
        g.input("k", "f32", [batch, kvHeads, keys, headDim]),
        g.input("v", "f32", [batch, kvHeads, keys, valueDim]),
        mask ? g.input("mask", "f32", maskShape) : undefined,
        slopes ? g.constant("slopes", normal(heads, 8).map(Math.abs), [heads]) : undefined,
        bias && g.input("bias", "f32", bias.shape),
      ];
      g.output("y", g.record("attention", inputs, { scale: headDim ** -0.5, ...attrs })[0]);
    },
    fillings: {
      q: normal(batch * heads * queries * headDim, 1),
      k: normal(batch * kvHeads * keys * headDim, 2),
      v: normal(batch * kvHeads * keys * valueDim, 3),
      ...(mask ? { mask } : {}),
      ...(bias ? { bias: bias.data } : {}),
    },
  };
}

const MASK = Float32Array.from({ length: 18 }, (_, i) => (i % 4 === 0 || i > 14 ? 0 : 1));
const HIDES_ALL = Float32Array.from({ length: 18 }, (_, i) => (i < 9 ? 0 : 1));

/** Zeros and ones in no order. */
const pattern = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => (i * i + i) % 7 % 2);
/** Some scores are hidden by -inf, among them all of the first query. */
const HIDING = normal(2 * 4 * 5 * 9, 11).map((x, i) => (i % 45 < 9 || i % 11 === 0 ? -Infinity : x));

const denseCases = [
  dense("full", {}),
  dense("causal", { keys: 5, attrs: { causal: true } }),
  dense("causal with past", { attrs: { causal: true, past: 4 } }),
  dense("one query", { queries: 1, attrs: { causal: true, past: 8 } }),
  dense("mask", { mask: MASK }),
  dense("mask that hides every key", { mask: HIDES_ALL }),
  dense("mask for each score", { mask: pattern(360), maskShape: [2, 4, 5, 9] }),
  dense("mask for each query", { mask: pattern(45), maskShape: [1, 1, 5, 9] }),
  dense("mask for each batch and query, causal, window", {
    mask: pattern(90),
    maskShape: [2, 1, 5, 9],
    attrs: { causal: true, past: 4, window: 6 },
  }),
  dense("bias for each score, some hidden", { bias: { data: HIDING, shape: [2, 4, 5, 9] } }),
  dense("bias for each head, mask, slopes", {
    bias: { data: normal(180, 12), shape: [1, 4, 5, 9] },
    mask: MASK,
    slopes: true,
    attrs: { softcap: 2 },
  }),
  dense("window", { attrs: { causal: true, past: 4, window: 3 } }),
  dense("softcap", { attrs: { causal: true, past: 4, softcap: 1.5 } }),
  dense("slopes", { slopes: true, attrs: { causal: true, past: 4 } }),
  dense("one KV head", { kvHeads: 1 }),
  dense("heads of 5", { headDim: 5 }),
  dense("values of another width", { headDim: 12, valueDim: 7 }),
  dense("100 keys, heads of 64", { batch: 1, queries: 33, keys: 100, headDim: 64 }),
];

/** Attention over pages, writes to pages, dense attention. */
export const attentionCases: readonly OpCase[] = [...pagedAttentionCases, ...denseCases];
