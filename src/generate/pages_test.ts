import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";
import { PagePool, Sequence } from "./pages.ts";

function append(sequence: Sequence, count: number): void {
  sequence.reserve(count);
  sequence.advance(count);
}

Deno.test("a sequence takes a page when the last one is full, and not before", () => {
  const pool = new PagePool(4);
  const sequence = new Sequence(pool, 4 * PAGE_SIZE);
  append(sequence, PAGE_SIZE);
  assertEquals(sequence.pages.length, 1);
  append(sequence, 1);
  assertEquals(sequence.pages.length, 2);
  assertEquals(sequence.slot(PAGE_SIZE), sequence.pages[1] * PAGE_SIZE);
  assertEquals(sequence.slot(PAGE_SIZE - 1), sequence.pages[0] * PAGE_SIZE + PAGE_SIZE - 1);
});

Deno.test("a page that was freed is the next to be used", () => {
  const pool = new PagePool(8);
  const first = new Sequence(pool, 8 * PAGE_SIZE);
  append(first, 1);
  const [page] = first.pages;
  first.clear();
  const second = new Sequence(pool, 8 * PAGE_SIZE);
  append(second, 1);
  assertEquals(second.pages, [page]);
});

Deno.test("a full context is a typed error, and the sequence stays as it was", () => {
  const pool = new PagePool(2);
  const sequence = new Sequence(pool, PAGE_SIZE + 3);
  append(sequence, PAGE_SIZE);
  const error = assertThrows(() => sequence.reserve(4), SequenceLengthExceededError);
  assertEquals([error.max, error.actual], [PAGE_SIZE + 3, PAGE_SIZE + 4]);
  assertEquals([sequence.length, sequence.pages.length, pool.free], [PAGE_SIZE, 1, 1]);
  append(sequence, 3);
});

Deno.test("an empty pool is a typed error that names what can be reached", () => {
  const pool = new PagePool(2);
  using other = new Sequence(pool, 2 * PAGE_SIZE);
  append(other, 1);
  const sequence = new Sequence(pool, 2 * PAGE_SIZE);
  const error = assertThrows(() => sequence.reserve(PAGE_SIZE + 1), SequenceLengthExceededError);
  assertEquals(error.max, PAGE_SIZE);
});

Deno.test("no two tokens ever share a slot, and all pages come back", () => {
  const steps = fc.array(
    fc.record({
      sequence: fc.nat(2),
      count: fc.integer({ min: 1, max: 2 * PAGE_SIZE }),
      clear: fc.boolean(),
    }),
    { maxLength: 40 },
  );
  fc.assert(fc.property(steps, (script) => {
    const pool = new PagePool(6);
    const sequences = [0, 1, 2].map(() => new Sequence(pool, 4 * PAGE_SIZE));
    for (const { sequence: index, count, clear } of script) {
      const sequence = sequences[index];
      if (clear) sequence.clear();
      try {
        append(sequence, count);
      } catch (error) {
        assert(error instanceof SequenceLengthExceededError);
      }
      const slots = sequences.flatMap((each) => Array.from({ length: each.length }, (_, i) => each.slot(i)));
      assertEquals(new Set(slots).size, slots.length);
      assert(slots.every((slot) => slot >= 0 && slot < 6 * PAGE_SIZE));
    }
    for (const sequence of sequences) sequence[Symbol.dispose]();
    assertEquals(pool.free, 6);
  }));
});

Deno.test("a fork shares full pages and copies the one that both will write to", () => {
  const pool = new PagePool(6);
  const copies: [number, number][] = [];
  const sequence = new Sequence(pool, 4 * PAGE_SIZE);
  append(sequence, 2 * PAGE_SIZE + 5);
  const fork = sequence.fork((from, to) => copies.push([from, to]));
  assertEquals(fork.length, sequence.length);
  assertEquals(fork.pages.slice(0, 2), sequence.pages.slice(0, 2));
  assertEquals(copies, [[sequence.pages[2], fork.pages[2]]]);
  assertEquals([pool.free, sequence.solePages, fork.solePages], [2, 1, 1]);
  sequence.clear();
  assertEquals([pool.free, fork.solePages], [3, 3]);
  fork.clear();
  assertEquals(pool.free, 6);
  assertThrows(() => pool.give([0]), InvalidArgumentError, "before");
});

Deno.test("a fork that finds no page for its copy takes none", () => {
  const pool = new PagePool(2);
  const sequence = new Sequence(pool, 2 * PAGE_SIZE);
  append(sequence, PAGE_SIZE + 1);
  assertThrows(() => sequence.fork(() => {}), SequenceLengthExceededError);
  assertEquals([pool.free, sequence.solePages], [0, 2]);
});

Deno.test("forks of forks: no page is lost or free twice, and nobody writes to a page of another", () => {
  const steps = fc.array(
    fc.record({ who: fc.nat(7), count: fc.nat(40), act: fc.constantFrom("append", "fork", "clear") }),
    { maxLength: 60 },
  );
  fc.assert(fc.property(steps, (script) => {
    const pool = new PagePool(12);
    const copy = (): void => {};
    let all = [new Sequence(pool, 6 * PAGE_SIZE)];
    for (const { who, count, act } of script) {
      const sequence = all[who % all.length];
      try {
        if (act === "append") append(sequence, count);
        else if (act === "fork") all.push(sequence.fork(copy));
        else sequence.clear();
      } catch (error) {
        assert(error instanceof SequenceLengthExceededError);
      }
      all = all.slice(-8).concat(all.length > 8 ? dropped(all.slice(0, -8)) : []);
      const held = new Set(all.flatMap(({ pages }) => pages));
      assertEquals(held.size + pool.free, 12);
      for (const { length, pages } of all) {
        const partial = length % PAGE_SIZE > 0 ? pages[pages.length - 1] : undefined;
        const holders = all.filter((each) => partial !== undefined && each.pages.includes(partial)).length;
        assert(partial === undefined || holders === 1);
      }
    }
    dropped(all);
    assertEquals(pool.free, 12);
  }));
});

function dropped(sequences: readonly Sequence[]): Sequence[] {
  for (const sequence of sequences) sequence.clear();
  return [];
}
