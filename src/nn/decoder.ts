/**
 * What every Program of a model has in common: the fields of its step record, its KV caches and its outputs.
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";
import { type DType, wholeBlocks } from "../tensor/dtype.ts";
import { alibiSlopes } from "./alibi.ts";
import { inverseFrequencies, type RopeConfig, ropeScale } from "./rope.ts";

/** Tokens in a page of the KV cache. */
export const PAGE_SIZE = 32;

/** Element type of the KV cache. */
export type CacheDType = "f32" | "f16" | "q16" | "q8_0";

/** Shape of the keys or values of one layer: `[pages, kvHeads, PAGE_SIZE, headDim]`, heads in whole blocks of the type. */
export function cacheShape(
  { kvHeads, headDim }: Pick<PositionConfig, "kvHeads" | "headDim">,
  { pages, dtype }: { readonly pages: number; readonly dtype: CacheDType },
): number[] {
  return [pages, kvHeads, PAGE_SIZE, wholeBlocks(dtype, headDim)];
}

/** Sizes of the paged KV cache that a Program reads and writes. */
export interface CacheConfig {
  /** Pages in all. */
  readonly pages: number;
  /** Pages of the longest sequence. */
  readonly maxPages: number;
  /** Sequences in one step. */
  readonly sequences: number;
  /** Element type of keys and values. */
  readonly dtype: CacheDType;
  /** All layers write to one cache: enough where a step has all tokens of its sequences. */
  readonly shared?: boolean;
  /** The cache of an encoder's keys and values, for models that look at one. */
  readonly cross?: CrossCacheConfig;
}

/** Sizes of the paged cache that an encoder fills and a decoder reads. */
export interface CrossCacheConfig {
  /** Pages in all. */
  readonly pages: number;
  /** Pages of the longest sequence. */
  readonly maxPages: number;
}

/** Values that the blocks of a model share. */
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
  /** Rows whose hidden states are wanted, i32 [outputs]; all of them where it is absent. */
  readonly outputRows?: Ref;
  /** Type of each row's token, i32 [rows]; absent in models without types. */
  readonly tokenTypes?: Ref;
  /** Slopes of ALiBi, [heads]; absent in models without it. */
  readonly slopes?: Ref;
  /** Relative bias by distance, [2·D + 1, heads]; absent in models without it. */
  readonly bias?: Ref;
  /** Where a decoder finds its encoder's keys and values; absent in models without an encoder. */
  readonly cross?: CrossInputs;
  /** Rotation of a layer's queries and keys; nothing where the model has none. */
  rope(layer: number): LayerRope | undefined;
  /** Caches of a layer, [pages, kvHeads, PAGE_SIZE, headDim]. */
  cache(layer: number): { readonly keys: Ref; readonly values: Ref };
}

/** What a decoder reads of its encoder. */
export interface CrossInputs {
  /** Keys that each row sees, i32 [rows]. */
  readonly lengths: Ref;
  /** Pages of each sequence's encoder input, i32 [sequences, maxPages]. */
  readonly pageTable: Ref;
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
  /** Layers whose queries and keys are rotated; all where it is absent. */
  readonly ropeLayers?: readonly boolean[];
  /** Number of token types; absent in models without them. */
  readonly tokenTypes?: number;
}

/** Rotary embedding of a layer; nothing where it has none. */
export function layerRope(c: PositionConfig, layer: number): RopeConfig | undefined {
  if (c.ropeLayers?.[layer] === false) return undefined;
  return c.windows[layer] > 0 ? c.localRope ?? c.rope : c.rope;
}

/** Name of a layer's key or value cache, for bindings. */
export function cacheName(layer: number, part: "keys" | "values"): string {
  return `cache.${layer}.${part}`;
}

/** Name of a layer's cache of the encoder's keys or values, for bindings. */
export function crossCacheName(layer: number, part: "keys" | "values"): string {
  return `cross.${layer}.${part}`;
}

/** Name of the cache that all layers share. */
export function sharedCacheName(part: "keys" | "values"): string {
  return `cache.${part}`;
}

/** Declares the caches of an encoder's keys and values. */
export function crossCaches(
  g: Recorder,
  c: Pick<PositionConfig, "kvHeads" | "headDim">,
  { pages }: CrossCacheConfig,
  dtype: CacheDType,
): CrossInputs["cache"] {
  const shape = cacheShape(c, { pages, dtype });
  const state = (layer: number, part: "keys" | "values"): Ref =>
    g.state(crossCacheName(layer, part), dtype, shape);
  return (layer) => ({ keys: state(layer, "keys"), values: state(layer, "values") });
}

/** Declares the step fields and caches of a model. */
export function decoderInputs(
  g: Recorder,
  c: PositionConfig,
  cache: CacheConfig,
): DecoderInputs & { readonly outputRows: Ref } {
  const row = (name: string): Ref => g.step(name, "i32", ["rows"]);
  const positions = row("positions");
  const shape = cacheShape(c, cache);
  const state = (layer: number, part: "keys" | "values"): Ref =>
    g.state(
      cache.shared ? sharedCacheName(part) : cacheName(layer, part),
      cache.dtype satisfies DType,
      shape,
    );
  const rotation = (rope: RopeConfig | undefined): LayerRope | undefined => {
    if (!rope) return undefined;
    const attrs = {
      inverseFrequencies: inverseFrequencies(rope, cache.maxPages * PAGE_SIZE),
      scale: ropeScale(rope),
    };
    return { table: g.record("ropeTable", [positions], attrs)[0], interleaved: rope.interleaved };
  };
  const rope = rotation(c.rope);
  const localRope = rotation(c.localRope);
  return {
    tokens: row("tokens"),
    positions,
    slots: row("slots"),
    lengths: row("lengths"),
    sequences: row("sequences"),
    pageTable: g.step("pageTable", "i32", [cache.sequences, cache.maxPages]),
    outputRows: g.step("outputRows", "i32", ["outputs"]),
    ...(c.alibi ? { slopes: slopes(g, c.heads, c.alibi) } : {}),
    ...(c.tokenTypes ? { tokenTypes: row("tokenTypes") } : {}),
    ...(cache.cross ? { cross: crossInputs(g, c, cache, cache.cross) } : {}),
    rope(layer) {
      const config = layerRope(c, layer);
      return config && (config === c.localRope ? localRope : rope);
    },
    cache: (layer) => ({ keys: state(layer, "keys"), values: state(layer, "values") }),
  };
}

/** The same inputs for a block whose rows are all wanted. */
export function allRows({ outputRows: _, ...inputs }: DecoderInputs): DecoderInputs {
  return inputs;
}

/** The rows of x, [rows, width], whose hidden states are wanted: [outputs, width], or x itself where all are. */
export function wantedRows(g: Recorder, x: Ref, { outputRows }: Pick<DecoderInputs, "outputRows">): Ref {
  return outputRows ? g.gatherRows(x, outputRows) : x;
}

function crossInputs(
  g: Recorder,
  c: PositionConfig,
  cache: CacheConfig,
  cross: CrossCacheConfig,
): CrossInputs {
  return {
    lengths: g.step("crossLengths", "i32", ["rows"]),
    pageTable: g.step("crossPageTable", "i32", [cache.sequences, cross.maxPages]),
    cache: crossCaches(g, c, cross, cache.dtype),
  };
}

function slopes(g: Recorder, heads: number, alibi: { maxBias: number; scale: number }): Ref {
  const values = alibiSlopes(heads, alibi.maxBias).map((slope) => slope * alibi.scale);
  return g.constant("slopes", values, [heads]);
}
