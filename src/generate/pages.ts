/**
 * The pages of the KV cache: which are free, and which hold the tokens of a sequence.
 *
 * @module
 */
import { SequenceLengthExceededError } from "../errors.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";
import type { CrossPart } from "./cross_cache.ts";

/** Hands out pages; a page that is freed is the next to be used again. */
export class PagePool {
  readonly #free: number[];
  /** Pages in all. */
  readonly size: number;

  /** A pool of `size` free pages. */
  constructor(size: number) {
    this.size = size;
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
  }

  /** Pages that are free. */
  get free(): number {
    return this.#free.length;
  }

  /** Takes a page; `undefined` where none is free. */
  take(): number | undefined {
    return this.#free.pop();
  }

  /** Gives pages back. */
  give(pages: readonly number[]): void {
    this.#free.push(...pages);
  }
}

/** A sequence: how many tokens it has in the cache, and the pages that hold them. */
export class Sequence {
  readonly #pool: PagePool;
  readonly #maxLength: number;
  #pages: number[] = [];
  #length = 0;
  /** What the encoder has read, in encoder–decoders; its owner frees it. */
  readonly cross?: CrossPart;

  /** An empty sequence of at most `maxLength` tokens. */
  constructor(pool: PagePool, maxLength: number, cross?: CrossPart) {
    this.#pool = pool;
    this.#maxLength = maxLength;
    this.cross = cross;
  }

  /** Tokens in the cache. */
  get length(): number {
    return this.#length;
  }
  /** Its pages, in order. */
  get pages(): readonly number[] {
    return this.#pages;
  }

  /**
   * Makes room for `count` more tokens.
   *
   * @throws {SequenceLengthExceededError} where the context or the pool is full; the sequence stays as it was.
   */
  reserve(count: number): void {
    const length = this.#length + count;
    const wanted = Math.ceil(length / PAGE_SIZE) - this.#pages.length;
    if (length > this.#maxLength || wanted > this.#pool.free) {
      const reachable = (this.#pages.length + this.#pool.free) * PAGE_SIZE;
      throw new SequenceLengthExceededError({ max: Math.min(this.#maxLength, reachable), actual: length });
    }
    for (let i = 0; i < wanted; i++) {
      const page = this.#pool.take();
      if (page !== undefined) this.#pages.push(page);
    }
  }

  /** Slot of a token in the cache: page·PAGE_SIZE + offset. */
  slot(position: number): number {
    return this.#pages[Math.floor(position / PAGE_SIZE)] * PAGE_SIZE + position % PAGE_SIZE;
  }

  /** Counts `count` reserved tokens as written. */
  advance(count: number): void {
    this.#length += count;
  }

  /** Forgets all tokens and gives the pages back. */
  clear(): void {
    this.#pool.give(this.#pages);
    this.#pages = [];
    this.#length = 0;
  }

  /** As `clear`. */
  [Symbol.dispose](): void {
    this.clear();
  }
}
