import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { PAGE_SIZE } from "../nn/decoder.ts";
import { PagePool, Sequence } from "./pages.ts";
import { PrefixCache } from "./prefix_cache.ts";

/** Tokens whose pages are named by letters: `"aab"` are three full pages. */
function named(pages: string, rest = 0): number[] {
  const full = [...pages].flatMap((letter) => new Array<number>(PAGE_SIZE).fill(letter.charCodeAt(0)));
  return [...full, ...new Array<number>(rest).fill(1)];
}

/** Computes tokens, beginning with what the cache knows, and ends; how many were known. */
function compute(pool: PagePool, cache: PrefixCache, tokens: readonly number[]): number {
  const sequence = new Sequence(pool, 100 * PAGE_SIZE);
  sequence.adopt(cache.find(tokens, tokens.length - 1));
  const known = sequence.length;
  sequence.reserve(tokens.length - known);
  sequence.advance(tokens.length - known);
  cache.add(tokens, sequence.pages, sequence.length);
  sequence.clear();
  return known / PAGE_SIZE;
}

Deno.test("the longest known beginning is found, in whole pages, and leaves one token to compute", () => {
  const pool = new PagePool(20);
  const cache = new PrefixCache(pool, 20);
  assertEquals(compute(pool, cache, named("abc", 5)), 0);
  assertEquals(compute(pool, cache, named("abc", 5)), 3);
  assertEquals(compute(pool, cache, named("abc")), 2);
  assertEquals(compute(pool, cache, named("abx", 5)), 2);
  assertEquals(compute(pool, cache, named("xbc", 5)), 0);
  // Seven different pages, and every one of them can be had again.
  assertEquals([cache.pages, pool.free], [7, 20]);
});

Deno.test("the least recently used pages make room, the last of a sequence first", () => {
  const pool = new PagePool(5);
  const cache = new PrefixCache(pool, 5);
  compute(pool, cache, named("ab", 1));
  compute(pool, cache, named("cd", 1));
  compute(pool, cache, named("ab", 1));
  compute(pool, cache, named("e", 1));
  assertEquals(compute(pool, cache, named("ab", 1)), 2);
  assertEquals(compute(pool, cache, named("cd", 1)), 1);
});

Deno.test("a page makes room though a fork holds one that follows it", () => {
  const pool = new PagePool(5);
  const cache = new PrefixCache(pool, 5);
  const [first, second] = [named("a", 1), named("ab", 1)].map((tokens) => {
    const sequence = new Sequence(pool, 5 * PAGE_SIZE);
    sequence.reserve(tokens.length);
    sequence.advance(tokens.length);
    return { tokens, sequence };
  });
  cache.add(first.tokens, first.sequence.pages, PAGE_SIZE);
  first.sequence.clear();
  using fork = second.sequence.fork(() => {});
  cache.add(second.tokens, second.sequence.pages, 2 * PAGE_SIZE);
  second.sequence.clear();
  // The fork has three pages of its own; the other two can be had, that which is kept too.
  assertEquals([pool.free, typeof pool.take(), typeof pool.take(), pool.take()], [
    2,
    "number",
    "number",
    undefined,
  ]);
  assertEquals([cache.pages, fork.solePages], [0, 3]);
});

Deno.test("no more pages are kept than may be", () => {
  const pool = new PagePool(20);
  const cache = new PrefixCache(pool, 3);
  compute(pool, cache, named("abcde", 1));
  assertEquals(cache.pages, 3);
  compute(pool, cache, named("xyz", 1));
  assertEquals([cache.pages, compute(pool, cache, named("xyz", 1))], [3, 3]);
  assertEquals(compute(new PagePool(4), new PrefixCache(new PagePool(4), 0), named("a", 1)), 0);
});

Deno.test("whatever is kept, found and given up: a page has one content, and none is lost", () => {
  const step = fc.record({
    text: fc.stringMatching(/^[ab]{0,5}$/),
    rest: fc.integer({ min: 1, max: 9 }),
    end: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 12 }), (steps, most) => {
    const pool = new PagePool(12);
    const cache = new PrefixCache(pool, most);
    /** What a model would have written to each page. */
    const contents = new Map<number, string>();
    const open: { tokens: number[]; sequence: Sequence }[] = [];
    for (const { text, rest, end } of steps) {
      const tokens = named(text, rest);
      const sequence = new Sequence(pool, 100 * PAGE_SIZE);
      const found = cache.find(tokens, tokens.length - 1);
      found.forEach((page, i) => assertEquals(contents.get(page), text.slice(0, i + 1)));
      sequence.adopt(found);
      if (tokens.length - sequence.length <= pool.free * PAGE_SIZE) {
        sequence.reserve(tokens.length - sequence.length);
        sequence.advance(tokens.length - sequence.length);
        sequence.pages.slice(found.length).forEach((page, i) => {
          assert(open.every((other) => !other.sequence.pages.includes(page)), "a page has two writers");
          contents.set(page, text.slice(0, found.length + i + 1));
        });
      }
      open.push({ tokens, sequence });
      for (const ended of end || open.length > 2 ? open.splice(0) : []) {
        cache.add(ended.tokens, ended.sequence.pages, ended.sequence.length);
        ended.sequence.clear();
      }
      assert(cache.pages <= most);
      const held = new Set(open.flatMap(({ sequence }) => sequence.pages)).size;
      assertEquals(pool.free + held, 12);
    }
    for (const { sequence } of open) sequence.clear();
    const all = Array.from({ length: 12 }, () => pool.take());
    assertEquals(new Set(all).size, 12);
    assertEquals([cache.pages, pool.take()], [0, undefined]);
  }));
});
