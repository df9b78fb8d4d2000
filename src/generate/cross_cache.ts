/**
 * The cache of an encoder's keys and values, which the decoder reads: written once for each input, then shared by count.
 *
 * @module
 */
import type { Backend, Buffer } from "../backends/backend.ts";
import { SequenceLengthExceededError } from "../errors.ts";
import type { DecoderConfig } from "../models/config.ts";
import { type CacheDType, type CrossCacheConfig, crossCacheName, PAGE_SIZE } from "../nn/decoder.ts";
import { pageBytes, PagePool, pagesFor } from "./pages.ts";

/** What the decoder of an encoder–decoder sees of one input. Every holder disposes of it once. */
export class CrossPart {
  readonly #give: (pages: readonly number[]) => void;
  #holders = 1;
  /** Pages, in order. */
  readonly pages: readonly number[];
  /** Tokens of the input. */
  readonly length: number;

  /** Pages, which the last holder gives back. */
  constructor(give: (pages: readonly number[]) => void, pages: readonly number[], length: number) {
    this.#give = give;
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
    if (--this.#holders === 0) this.#give(this.pages);
  }
}

/** Bytes of the cross cache for a context of this many tokens; none for a model without an encoder beside it. */
export function crossCacheBytes(config: DecoderConfig, contextLength: number, dtype: CacheDType): number {
  if (config.kind !== "encoder-decoder") return 0;
  return 2 * config.layers * pagesFor(contextLength) * pageBytes(config, dtype);
}

/** Sizes of a cross cache. */
export interface CrossCacheSizes {
  /** Longest input, in tokens. */
  readonly contextLength: number;
  /** Tokens of all inputs together. */
  readonly cacheTokens: number;
  /** Element type. */
  readonly dtype: CacheDType;
}

/** An input that waits for pages. */
interface Waiting {
  readonly length: number;
  readonly go: (part: CrossPart) => void;
}

/** The buffers of all layers, and their pages. */
export class CrossCache {
  readonly #backend: Backend;
  readonly #pool: PagePool;
  readonly #maxLength: number;
  readonly #waiting: Waiting[] = [];
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
    const pages = pagesFor(cacheTokens);
    this.#maxLength = Math.min(contextLength, pages * PAGE_SIZE);
    this.#pool = new PagePool(pages);
    this.shape = { pages, maxPages: pagesFor(contextLength) };
    try {
      for (let layer = 0; layer < config.layers; layer++) {
        for (const part of ["keys", "values"] as const) {
          this.bindings.set(crossCacheName(layer, part), backend.alloc(pages * pageBytes(config, dtype)));
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
   * Takes pages for an input of so many tokens. Where there are too few, it waits for those who came before, and for as
   * many to be given back.
   *
   * @throws {SequenceLengthExceededError} where it is longer than the context.
   * @throws where the signal is aborted: its reason.
   */
  async take(length: number, signal?: AbortSignal): Promise<CrossPart> {
    if (length > this.#maxLength) {
      throw new SequenceLengthExceededError({ max: this.#maxLength, actual: length });
    }
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<CrossPart>();
    const waiting: Waiting = { length, go: resolve };
    const onAbort = (): void => {
      const place = this.#waiting.indexOf(waiting);
      if (place < 0) return;
      this.#waiting.splice(place, 1);
      reject(signal?.reason);
      this.#serve();
    };
    this.#waiting.push(waiting);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#serve();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Gives pages to those who wait, in the order in which they came. */
  #serve(): void {
    for (
      let [next] = this.#waiting;
      next && pagesFor(next.length) <= this.#pool.free;
      [next] = this.#waiting
    ) {
      this.#waiting.shift();
      next.go(this.#part(next.length));
    }
  }

  #part(length: number): CrossPart {
    const pages: number[] = [];
    while (pages.length < pagesFor(length)) {
      const page = this.#pool.take();
      if (page === undefined) break;
      pages.push(page);
    }
    const give = (pages: readonly number[]): void => {
      this.#pool.give(pages);
      this.#serve();
    };
    return new CrossPart(give, pages, length);
  }

  /** Frees the buffers. */
  [Symbol.dispose](): void {
    for (const buffer of this.bindings.values()) this.#backend.free(buffer);
    this.bindings.clear();
  }
}
