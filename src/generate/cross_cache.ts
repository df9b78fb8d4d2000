/**
 * The cache of an encoder's keys and values, which the decoder reads: written once for each input, then shared by count.
 *
 * @module
 */
import type { Backend, Buffer } from "../backends/backend.ts";
import { SequenceLengthExceededError } from "../errors.ts";
import type { DecoderConfig } from "../models/config.ts";
import { type CrossCacheConfig, crossCacheName, PAGE_SIZE } from "../nn/decoder.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { PagePool, pagesFor } from "./pages.ts";

/** What the decoder of an encoder–decoder sees of one input. Every holder disposes of it once. */
export class CrossPart {
  readonly #pool: PagePool;
  #holders = 1;
  /** Pages, in order. */
  readonly pages: readonly number[];
  /** Tokens of the input. */
  readonly length: number;

  /** Pages of the pool, which get back there with the last holder. */
  constructor(pool: PagePool, pages: readonly number[], length: number) {
    this.#pool = pool;
    this.pages = pages;
    this.length = length;
  }

  /** Slot of a token in the cache: page·PAGE_SIZE + offset. */
  slot(position: number): number {
    return this.pages[Math.floor(position / PAGE_SIZE)] * PAGE_SIZE + position % PAGE_SIZE;
  }

  /** The same part for one more holder, such as a beam. */
  share(): CrossPart {
    this.#holders++;
    return this;
  }

  /** One holder less. */
  [Symbol.dispose](): void {
    if (--this.#holders === 0) this.#pool.give(this.pages);
  }
}

/** Bytes of a layer's keys, or values, in so many pages. */
function layerBytes(config: DecoderConfig, pages: number, dtype: "f32" | "f16"): number {
  return pages * PAGE_SIZE * config.kvHeads * config.headDim * DTYPES[dtype].blockBytes;
}

/** Bytes of the cross cache for a context of this many tokens; none for a model without an encoder beside it. */
export function crossCacheBytes(config: DecoderConfig, contextLength: number, dtype: "f32" | "f16"): number {
  if (config.kind !== "encoder-decoder") return 0;
  return 2 * config.layers * layerBytes(config, pagesFor(contextLength), dtype);
}

/** Sizes of a cross cache. */
export interface CrossCacheSizes {
  /** Longest input, in tokens. */
  readonly contextLength: number;
  /** Tokens of all inputs together. */
  readonly cacheTokens: number;
  /** Element type. */
  readonly dtype: "f32" | "f16";
}

/** The buffers of all layers, and their pages. */
export class CrossCache {
  readonly #backend: Backend;
  readonly #pool: PagePool;
  readonly #maxLength: number;
  /** Buffers by their names in Programs. */
  readonly bindings: Map<string, Buffer> = new Map();
  /** Sizes, as Programs declare them. */
  readonly shape: CrossCacheConfig;

  /** Takes the memory for inputs of `cacheTokens` tokens in all. */
  constructor(
    backend: Backend,
    config: DecoderConfig,
    { contextLength, cacheTokens, dtype }: CrossCacheSizes,
  ) {
    this.#backend = backend;
    this.#maxLength = contextLength;
    const pages = pagesFor(cacheTokens);
    this.#pool = new PagePool(pages);
    this.shape = { pages, maxPages: pagesFor(contextLength) };
    try {
      for (let layer = 0; layer < config.layers; layer++) {
        for (const part of ["keys", "values"] as const) {
          this.bindings.set(crossCacheName(layer, part), backend.alloc(layerBytes(config, pages, dtype)));
        }
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Bytes of the buffers. */
  get bytes(): number {
    return [...this.bindings.values()].reduce((sum, buffer) => sum + buffer.bytes, 0);
  }

  /**
   * Takes pages for an input of so many tokens.
   *
   * @throws {SequenceLengthExceededError} where there are not enough.
   */
  take(length: number): CrossPart {
    const wanted = pagesFor(length);
    if (length > this.#maxLength || wanted > this.#pool.free) {
      const max = Math.min(this.#maxLength, this.#pool.free * PAGE_SIZE);
      throw new SequenceLengthExceededError({ max, actual: length });
    }
    const pages: number[] = [];
    for (let page = this.#pool.take(); page !== undefined; page = this.#pool.take()) {
      pages.push(page);
      if (pages.length === wanted) break;
    }
    return new CrossPart(this.#pool, pages, length);
  }

  /** Frees the buffers. */
  [Symbol.dispose](): void {
    for (const buffer of this.bindings.values()) this.#backend.free(buffer);
    this.bindings.clear();
  }
}
