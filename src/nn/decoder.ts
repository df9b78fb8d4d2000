/**
 * What every decoder Program has in common: the fields of its step record, its KV caches and its outputs.
 *
 * @module
 */
import type { Recorder, Ref } from "../program/recorder.ts";
import type { DType } from "../tensor/dtype.ts";
import { inverseFrequencies, type RopeConfig } from "./rope.ts";

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
  /** Cosines and sines of each row's position, [rows, rotaryDim]. */
  readonly ropeTable: Ref;
  /** Caches of a layer, [pages, kvHeads, PAGE_SIZE, headDim]. */
  cache(layer: number): { readonly keys: Ref; readonly values: Ref };
}

/** Name of a layer's key or value cache, for bindings. */
export function cacheName(layer: number, part: "keys" | "values"): string {
  return `cache.${layer}.${part}`;
}

/** Declares the step fields and caches of a decoder. */
export function decoderInputs(
  g: Recorder,
  c: { readonly kvHeads: number; readonly headDim: number; readonly rope: RopeConfig },
  cache: CacheConfig,
): DecoderInputs {
  const row = (name: string): Ref => g.step(name, "i32", ["rows"]);
  const positions = row("positions");
  const shape = [cache.pages, c.kvHeads, PAGE_SIZE, c.headDim];
  const state = (layer: number, part: "keys" | "values"): Ref =>
    g.state(cacheName(layer, part), cache.dtype satisfies DType, shape);
  return {
    tokens: row("tokens"),
    slots: row("slots"),
    lengths: row("lengths"),
    sequences: row("sequences"),
    pageTable: g.step("pageTable", "i32", [cache.sequences, cache.maxPages]),
    outputRows: g.step("outputRows", "i32", ["outputs"]),
    ropeTable: g.record("ropeTable", [positions], { inverseFrequencies: inverseFrequencies(c.rope) })[0],
    cache: (layer) => ({ keys: state(layer, "keys"), values: state(layer, "values") }),
  };
}
