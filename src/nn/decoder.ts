/**
 * What every decoder Program has in common: the fields of its step record, its KV caches and its outputs.
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";
import type { DType } from "../tensor/dtype.ts";
import { alibiSlopes } from "./alibi.ts";
import { inverseFrequencies, type RopeConfig, ropeScale } from "./rope.ts";

/** Tokens in a page of the KV cache. */
export const PAGE_SIZE = 32;

/** Sizes of the paged KV cache that a Program reads and writes. */
export interface CacheConfig {
  /** Pages in all. */
  readonly pages: number;
  /** Pages of the longest sequence. */
  readonly maxPages: number;
  /** Sequences in one step. */
  readonly sequences: number;
  /** Element type of keys and values. */
  readonly dtype: "f32" | "f16";
}

/** Values that the blocks of a decoder share. */
export interface DecoderInputs {
  /** Token of each row, i32 [rows]. */
  readonly tokens: Ref;
  /** Position of each row in its sequence, i32 [rows]. */
  readonly positions: Ref;
  /** Slot of each row's key and value: page·PAGE_SIZE + offset, i32 [rows]. */
  readonly slots: Ref;
  /** Keys that each row sees, itself included, i32 [rows]. */
  readonly lengths: Ref;
  /** Line of the page table of each row, i32 [rows]. */
  readonly sequences: Ref;
  /** Pages of each sequence, i32 [sequences, maxPages]. */
  readonly pageTable: Ref;
  /** Rows whose logits are wanted, i32 [outputs]. */
  readonly outputRows: Ref;
  /** Slopes of ALiBi, [heads]; absent in models without it. */
  readonly slopes?: Ref;
  /** Rotation of a layer's queries and keys; nothing where the model has none. */
  rope(layer: number): LayerRope | undefined;
  /** Caches of a layer, [pages, kvHeads, PAGE_SIZE, headDim]. */
  cache(layer: number): { readonly keys: Ref; readonly values: Ref };
}

/** Rotation of one layer. */
export interface LayerRope {
  /** Cosines and sines of each row's position, [rows, rotaryDim]. */
  readonly table: Ref;
  /** Rotary pairs are neighbours instead of halves. */
  readonly interleaved: boolean;
}

/** What a model says about positions and its cache. */
export interface PositionConfig {
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads. */
  readonly kvHeads: number;
  /** Width of a head. */
  readonly headDim: number;
  /** Tokens that each layer sees; 0 is all. */
  readonly windows: readonly number[];
  /** Rotary embedding. */
  readonly rope?: RopeConfig;
  /** Rotary embedding of the layers with a window, where it is another one. */
  readonly localRope?: RopeConfig;
  /** ALiBi: its largest bias, mostly 8, and a factor of all slopes, mostly 1. */
  readonly alibi?: { readonly maxBias: number; readonly scale: number };
}

/** Name of a layer's key or value cache, for bindings. */
export function cacheName(layer: number, part: "keys" | "values"): string {
  return `cache.${layer}.${part}`;
}

/** Declares the step fields and caches of a decoder. */
export function decoderInputs(g: Recorder, c: PositionConfig, cache: CacheConfig): DecoderInputs {
  const row = (name: string): Ref => g.step(name, "i32", ["rows"]);
  const positions = row("positions");
  const shape = [cache.pages, c.kvHeads, PAGE_SIZE, c.headDim];
  const state = (layer: number, part: "keys" | "values"): Ref =>
    g.state(cacheName(layer, part), cache.dtype satisfies DType, shape);
  const rotation = (rope: RopeConfig | undefined): LayerRope | undefined => {
    if (!rope) return undefined;
    const attrs = {
      inverseFrequencies: inverseFrequencies(rope, cache.maxPages * PAGE_SIZE),
      scale: ropeScale(rope),
    };
    return { table: g.record("ropeTable", [positions], attrs)[0], interleaved: rope.interleaved };
  };
  const rope = rotation(c.rope);
  const localRope = c.localRope ? rotation(c.localRope) : rope;
  return {
    tokens: row("tokens"),
    positions,
    slots: row("slots"),
    lengths: row("lengths"),
    sequences: row("sequences"),
    pageTable: g.step("pageTable", "i32", [cache.sequences, cache.maxPages]),
    outputRows: g.step("outputRows", "i32", ["outputs"]),
    ...(c.alibi ? { slopes: slopes(g, c.heads, c.alibi) } : {}),
    rope: (layer) => (c.windows[layer] > 0 ? localRope : rope),
    cache: (layer) => ({ keys: state(layer, "keys"), values: state(layer, "values") }),
  };
}

function slopes(g: Recorder, heads: number, alibi: { maxBias: number; scale: number }): Ref {
  const values = alibiSlopes(heads, alibi.maxBias).map((slope) => slope * alibi.scale);
  return g.constant("slopes", values, [heads]);
}
