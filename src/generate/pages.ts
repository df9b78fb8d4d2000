/**
 * The pages of the KV cache: which are free, which hold the tokens of a sequence, and which are shared by several.
 *
 * @module
 */
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { type CacheDType, cacheShape, PAGE_SIZE } from "../nn/decoder.ts";
import type { ContextPlan } from "./context.ts";
import type { DecoderConfig } from "../models/config.ts";
import { byteLength } from "../tensor/dtype.ts";
import { elementCount } from "../tensor/shape.ts";
import type { CrossPart } from "./cross_cache.ts";

/** Pages that hold this many tokens. */
export function pagesFor(tokens: number): number {
  return Math.ceil(tokens / PAGE_SIZE);
}

/** Bytes of a page, of keys or values of one layer, with their scales. */
export function pageBytes(config: DecoderConfig, dtype: CacheDType): number {
  return byteLength(dtype, elementCount(cacheShape(config, { pages: 1, dtype })));
}

/**
 * Hands out pages and counts who holds each; a page that comes free is the next to be used again. Pages that are kept
 * for what is in them come last.
 */
export class PagePool {
  readonly #free: number[];
  readonly #holders: Int32Array;
  readonly #kept: Uint8Array;
  /** Pages that are kept and not held. */
  #idle = 0;
  /** Pages in all. */
  readonly size: number;
  /** Called where only kept pages are left: must let go of one that is not held. */
  onShortage?: () => void;

  /** A pool of `size` free pages. */
  constructor(size: number) {
    this.size = size;
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#holders = new Int32Array(size);
    this.#kept = new Uint8Array(size);
  }

  /** Pages that nobody holds. */
  get free(): number {
    return this.#free.length + this.#idle;
  }

  /** Takes a page; `undefined` where none is free. */
  take(): number | undefined {
    if (this.#free.length === 0 && this.#idle > 0) this.onShortage?.();
    const page = this.#free.pop();
    if (page !== undefined) this.#holders[page] = 1;
    return page;
  }

  /** Counts one more holder of each page. */
  share(pages: readonly number[]): void {
    for (const page of pages) if (this.#holders[page]++ === 0) this.#idle--;
  }

  /** Gives pages back; each comes free with its last holder. */
  give(pages: readonly number[]): void {
    for (const page of pages) {
      if (this.#holders[page] === 0) throw new InvalidArgumentError(`page ${page} was given back before`);
      if (--this.#holders[page] > 0) continue;
      if (this.#kept[page]) this.#idle++;
      else this.#free.push(page);
    }
  }

  /** Keeps a page that is held for later, too. */
  keep(page: number): void {
    this.#kept[page] = 1;
  }

  /** Ends that. */
  unkeep(page: number): void {
    this.#kept[page] = 0;
    if (this.held(page)) return;
    this.#idle--;
    this.#free.push(page);
  }

  /** Whether a sequence holds a page. */
  held(page: number): boolean {
    return this.#holders[page] > 0;
  }

  /** Whether a second sequence holds a page, or it is kept for later: it must stay as it is. */
  shared(page: number): boolean {
    return this.#holders[page] > 1 || this.#kept[page] === 1;
  }

  /** How many of these pages come free when one holder gives them back. */
  sole(pages: readonly number[]): number {
    let count = 0;
    for (const page of pages) if (this.#holders[page] === 1) count++;
    return count;
  }
}

/** A sequence: how many tokens it has in the cache, and the pages that hold them. */
export class Sequence {
  readonly #pool: PagePool;
  /** The most tokens. */
  readonly maxLength: number;
  #pages: number[] = [];
  #length = 0;
  /** What the encoder has read, in encoder–decoders; its owner frees it. */
  readonly cross?: CrossPart;

  /** An empty sequence of at most `maxLength` tokens. */
  constructor(pool: PagePool, maxLength: number, cross?: CrossPart) {
    this.#pool = pool;
    this.maxLength = maxLength;
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
  /** How many more tokens have a place in its pages. */
  get room(): number {
    return Math.min(this.#pages.length * PAGE_SIZE, this.maxLength) - this.#length;
  }
  /** Pages that would come free with it. */
  get solePages(): number {
    return this.#pool.sole(this.#pages);
  }

  /**
   * Makes room for `count` more tokens.
   *
   * @throws {SequenceLengthExceededError} where the context or the pool is full; the sequence stays as it was.
   */
  reserve(count: number): void {
    const length = this.#length + count;
    const wanted = pagesFor(length) - this.#pages.length;
    if (length > this.maxLength || wanted > this.#pool.free) {
      const reachable = (this.#pages.length + this.#pool.free) * PAGE_SIZE;
      throw new SequenceLengthExceededError({ max: Math.min(this.maxLength, reachable), actual: length });
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

  /** Begins an empty sequence with full pages that are there. */
  adopt(pages: readonly number[]): void {
    if (this.#length > 0) {
      throw new InvalidArgumentError("only an empty sequence can begin with pages of others");
    }
    this.#pool.share(pages);
    this.#pages = [...pages];
    this.#length = pages.length * PAGE_SIZE;
  }

  /**
   * A second sequence with the same tokens. Full pages are shared; the last one, where it is not full, is copied, for
   * both will write to it.
   *
   * @throws {SequenceLengthExceededError} where no page is free for the copy.
   */
  fork(copyPage: (from: number, to: number) => void): Sequence {
    const full = Math.floor(this.#length / PAGE_SIZE);
    const fork = new Sequence(this.#pool, this.maxLength, this.cross);
    fork.#pages = this.#pages.slice(0, full);
    fork.#length = full * PAGE_SIZE;
    this.#pool.share(fork.#pages);
    const rest = this.#length - fork.#length;
    if (rest === 0) return fork;
    try {
      fork.reserve(rest);
    } catch (error) {
      fork.clear();
      throw error;
    }
    copyPage(this.#pages[full], fork.#pages[full]);
    fork.advance(rest);
    return fork;
  }

  /**
   * Becomes what a plan leaves of it; pages that must not be changed are copied.
   *
   * @returns Whether there were pages for the copies; if not, it stays as it was.
   */
  retain(
    { kept, dropped, length }: ContextPlan,
    copyPage: (from: number, to: number) => void,
  ): boolean {
    const pool = this.#pool;
    const copies = kept.filter(({ copy }) => copy).length;
    if (copies > pool.free + pool.sole(dropped)) return false;
    pool.give(dropped);
    this.#pages = kept.map(({ page, copy }) => {
      const own = copy ? pool.take() : undefined;
      if (own === undefined) return page;
      copyPage(page, own);
      pool.give([page]);
      return own;
    });
    this.#length = length;
    return true;
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
