/** A whole decoder layer and head: what fusion, the arena and the order of ops must get right together. @module */
import type { Recorder, Ref } from "../../../src/program/recorder.ts";
import type { CacheDType } from "../../../src/nn/decoder.ts";
import { type DType, wholeBlocks } from "../../../src/tensor/dtype.ts";
import { normal, packed } from "../../support/random.ts";
import type { Filling, Fillings } from "../../support/rig.ts";
import type { OpCase } from "../case.ts";
import { inverseFrequencies } from "./rope.ts";

/** Sizes of the small model. */
export const LAYER = { width: 64, heads: 4, kvHeads: 2, headDim: 16, hidden: 96, vocabulary: 70 } as const;
const PAGES = { pages: 7, pageSize: 16, maxPages: 3, sequences: 2 } as const;

/** Records two decoder layers and a head; `layers` weights of one dtype. The last layer goes on with the outputs only. */
export function recordLayers(g: Recorder, dtype: DType, kv: CacheDType, layers = 2): void {
  const { width, heads, kvHeads, headDim, hidden, vocabulary } = LAYER;
  const [positions, slots] = [g.step("positions", "i32", ["rows"]), g.step("slots", "i32", ["rows"])];
  const [lengths, sequences] = [g.step("lengths", "i32", ["rows"]), g.step("sequences", "i32", ["rows"])];
  const pageTable = g.step("pageTable", "i32", [PAGES.sequences, PAGES.maxPages]);
  const table =
    g.record("ropeTable", [positions], { inverseFrequencies: inverseFrequencies(headDim / 2) })[0];
  const outputRows = g.step("outputRows", "i32", ["outputs"]);
  let x = g.embed(g.step("ids", "i32", ["rows"]), g.weight("tokens", dtype, [vocabulary, width]));
  for (let layer = 0; layer < layers; layer++) {
    const weight = (name: string, out: number, inner: number) =>
      g.weight(`${layer}.${name}`, dtype, [out, inner]);
    const cacheShape = [PAGES.pages, kvHeads, PAGES.pageSize, wholeBlocks(kv, headDim)];
    const [keys, values] = [
      g.state(`${layer}.keys`, kv, cacheShape),
      g.state(`${layer}.values`, kv, cacheShape),
    ];
    const normed = g.rmsNorm(x, g.weight(`${layer}.norm`, "f32", [width]), 1e-5);
    const q = g.linear(normed, weight("q", heads * headDim, width));
    const k = g.linear(normed, weight("k", kvHeads * headDim, width));
    const v = g.linear(normed, weight("v", kvHeads * headDim, width));
    const [rotatedQ] = g.record("rope", [q, table], { heads });
    const [rotatedK] = g.record("rope", [k, table], { heads: kvHeads });
    g.record("writeKv", [rotatedK, v, slots, keys, values]);
    const wanted = (rows: Ref): Ref => layer === layers - 1 ? g.gatherRows(rows, outputRows) : rows;
    const [attended] = g.record("pagedAttention", [rotatedQ, keys, values, lengths, sequences, pageTable], {
      heads,
      scale: headDim ** -0.5,
    });
    x = g.add(wanted(x), g.linear(wanted(attended), weight("o", width, heads * headDim)));
    const inner = g.rmsNorm(x, g.weight(`${layer}.norm2`, "f32", [width]), 1e-5);
    const gate = g.linear(inner, weight("gate", hidden, width));
    const up = g.linear(inner, weight("up", hidden, width));
    x = g.add(x, g.linear(g.mul(g.activation(gate, "silu"), up), weight("down", width, hidden)));
  }
  const last = g.rmsNorm(x, g.weight("norm", "f32", [width]), 1e-5);
  const logits = g.linear(last, g.weight("tokens", dtype, [vocabulary, width]));
  g.output("logits", logits);
  g.output("next", g.argmax(logits));
}

/** Weights for `recordLayers`. */
export function layerWeights(dtype: DType, layers = 2): Fillings {
  const { width, heads, kvHeads, headDim, hidden, vocabulary } = LAYER;
  const fillings: Record<string, Filling> = {
    tokens: packed(dtype, vocabulary * width, 1, 0.3),
    norm: normal(width, 2),
  };
  for (let layer = 0; layer < layers; layer++) {
    const sizes = {
      q: heads * headDim * width,
      k: kvHeads * headDim * width,
      v: kvHeads * headDim * width,
      o: width * heads * headDim,
      gate: hidden * width,
      up: hidden * width,
      down: width * hidden,
    };
    Object.entries(sizes).forEach(([name, count], i) => {
      fillings[`${layer}.${name}`] = packed(dtype, count, 10 * layer + 20 + i, 0.12);
    });
    fillings[`${layer}.norm`] = normal(width, 3 + layer);
    fillings[`${layer}.norm2`] = normal(width, 5 + layer);
  }
  return fillings;
}

/** Row data of a step: two sequences, of which one has pages 5, 2, 6 and the other 3, 1, 4. */
export interface LayerRow {
  readonly id: number;
  readonly sequence: 0 | 1;
  readonly position: number;
}

const PAGE_TABLE = [5, 2, 6, 3, 1, 4];

/** The step fields for some rows. */
export function layerStep(rows: readonly LayerRow[], outputRows: readonly number[]): Fillings {
  const { pageSize, maxPages } = PAGES;
  return {
    ids: Int32Array.from(rows, (row) => row.id),
    positions: Int32Array.from(rows, (row) => row.position),
    lengths: Int32Array.from(rows, (row) => row.position + 1),
    sequences: Int32Array.from(rows, (row) => row.sequence),
    slots: Int32Array.from(rows, ({ sequence, position }) => {
      const page = PAGE_TABLE[sequence * maxPages + Math.floor(position / pageSize)];
      return page * pageSize + (position % pageSize);
    }),
    pageTable: Int32Array.from(PAGE_TABLE),
    outputRows: Int32Array.from(outputRows),
  };
}

/** Rows of both sequences, mixed. */
export const LAYER_ROWS: readonly LayerRow[] = Array.from({ length: 33 }, (_, i) => ({
  id: (i * 37 + 11) % LAYER.vocabulary,
  sequence: i % 3 === 0 ? 1 as const : 0 as const,
  position: i % 3 === 0 ? i / 3 : i - 1 - Math.floor(i / 3),
}));

function layers(dtype: DType, kv: CacheDType, tolerance?: number): OpCase {
  return {
    name: `layers ${dtype}, ${kv} cache`,
    capacity: { rows: 40, outputs: 4 },
    counts: { rows: LAYER_ROWS.length, outputs: 3 },
    record: (g) => recordLayers(g, dtype, kv),
    fillings: { ...layerWeights(dtype), ...layerStep(LAYER_ROWS, [32, 0, 17]) },
    tolerance,
  };
}

/** Two layers in each float dtype. With quantized activations, small differences grow: those are compared by op. */
export const layerCases: readonly OpCase[] = [
  layers("f32", "f32", 1e-4),
  layers("f16", "f32", 1e-4),
  layers("bf16", "f16", 2e-3),
];
