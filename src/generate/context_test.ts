import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";
import { checkContext, type ContextOptions, planContext, type PositionKind } from "./context.ts";

/** A key as a cache has it: the token's place in the text, and the position that it is turned by. */
interface Key {
  readonly text: number;
  readonly position: number;
}

/** A cache of pages that applies plans, as an engine would. */
class Cache {
  readonly pages = new Map<number, Key[]>();
  readonly shared = new Set<number>();
  table: number[] = [];
  length = 0;
  #next = 0;

  append(text: number): void {
    if (this.length % PAGE_SIZE === 0) {
      this.table.push(this.#next);
      this.pages.set(this.#next++, []);
    }
    this.pages.get(this.table[this.table.length - 1])?.push({ text, position: this.length++ });
  }

  makeRoom(wanted: number, max: number, options: ContextOptions, positions: PositionKind): number {
    const before = this.keys();
    const plan = planContext(
      { pages: this.table, length: this.length, isShared: (page) => this.shared.has(page) },
      wanted,
      max,
      options,
      positions,
    );
    if (!plan) return 0;
    assertEquals(plan.dropped, this.table.slice(plan.from / PAGE_SIZE, plan.to / PAGE_SIZE));
    this.table = plan.kept.map(({ page, ropeShift, copy }) => {
      const keys = (this.pages.get(page) ?? []).map(({ text, position }) => ({
        text,
        position: position + ropeShift,
      }));
      assert(copy || ropeShift === 0 || !this.shared.has(page), "a shared page would be changed");
      const target = copy ? this.#next++ : page;
      this.pages.set(target, keys);
      return target;
    });
    this.length = plan.length;
    assertEquals(
      this.keys().map(({ text }) => text),
      before.filter((_, i) => i < plan.from || i >= plan.to).map(({ text }) => text),
    );
    return plan.to - plan.from;
  }

  keys(): Key[] {
    return this.table.flatMap((page) => this.pages.get(page) ?? []);
  }
}

const sizes = fc.record({
  max: fc.integer({ min: 4 * PAGE_SIZE, max: 9 * PAGE_SIZE }),
  keep: fc.integer({ min: 0, max: PAGE_SIZE + 5 }),
  step: fc.integer({ min: 1, max: PAGE_SIZE }),
});

for (const contextFull of ["slide", "shift"] as const) {
  Deno.test(`${contextFull}: over four contexts the first and the latest stay, and positions are indices`, () => {
    fc.assert(
      fc.property(sizes, ({ max, keep, step }) => {
        const cache = new Cache();
        const first = Math.ceil(keep / PAGE_SIZE) * PAGE_SIZE;
        let [text, plans] = [0, 0];
        while (text < 4 * max) {
          if (cache.makeRoom(step, max, { contextFull, keep }, "rotary") > 0) plans++;
          for (let i = 0; i < step; i++) cache.append(text++);
          assert(cache.length <= max);
          const keys = cache.keys();
          keys.forEach(({ position }, i) => assertEquals(position, i));
          const recent = cache.length - Math.min(first, cache.length);
          const expected = [
            ...Array(cache.length - recent).keys(),
            ...Array.from({ length: recent }, (_, i) => text - recent + i),
          ];
          assertEquals(keys.map((key) => key.text), expected);
          // A window is as wide as whole pages allow.
          if (contextFull === "slide" && text > max) assert(cache.length > max - PAGE_SIZE - step);
        }
        const pages = Math.floor(max / PAGE_SIZE) - first / PAGE_SIZE;
        if (contextFull === "shift") assert(plans <= 3 * max / (Math.floor((pages - 1) / 2) * PAGE_SIZE) + 2);
      }),
      { numRuns: 60 },
    );
  });
}

Deno.test("a page that others have is copied where it is turned, and only there", () => {
  const cache = new Cache();
  for (let text = 0; text < 4 * PAGE_SIZE; text++) cache.append(text);
  cache.table.forEach((page) => cache.shared.add(page));
  const before = cache.table;
  cache.makeRoom(1, 4 * PAGE_SIZE, { contextFull: "slide" }, "rotary");
  assertEquals(cache.table[0], before[0]);
  assert(!before.includes(cache.table[1]) && !before.includes(cache.table[2]));
  assertEquals(cache.pages.get(before[2])?.[0], { text: 2 * PAGE_SIZE, position: 2 * PAGE_SIZE });
});

Deno.test("distances of ALiBi are those of the page table: nothing is turned or copied", () => {
  const plan = planContext(
    { pages: [5, 6, 7, 8], length: 4 * PAGE_SIZE, isShared: () => true },
    1,
    4 * PAGE_SIZE,
    { contextFull: "slide" },
    "alibi",
  );
  assertEquals(plan?.kept, [5, 7, 8].map((page) => ({ page, ropeShift: 0, copy: false })));
  assertEquals(plan?.dropped, [6]);
});

Deno.test("nothing happens while there is room, and nothing can where all must stay", () => {
  const sequence = { pages: [0, 1, 2], length: 2 * PAGE_SIZE + 9, isShared: () => false };
  const plan = (wanted: number, options: ContextOptions) => () =>
    planContext(sequence, wanted, 3 * PAGE_SIZE, options, "rotary");
  assertEquals(plan(PAGE_SIZE - 9, { contextFull: "shift" })(), undefined);
  assertThrows(plan(PAGE_SIZE, {}), SequenceLengthExceededError);
  assertThrows(plan(PAGE_SIZE, { contextFull: "slide", keep: PAGE_SIZE + 1 }), SequenceLengthExceededError);
  assertThrows(plan(3 * PAGE_SIZE, { contextFull: "slide" }), SequenceLengthExceededError);
  assertEquals(plan(PAGE_SIZE, { contextFull: "slide" })()?.kept.map(({ page }) => page), [0, 2]);
});

Deno.test("options that make no sense, or that a model cannot do, are refused", () => {
  checkContext({ contextFull: "error" }, "learned", 1);
  checkContext({ contextFull: "slide", keep: 0 }, "alibi", PAGE_SIZE + 1);
  checkContext({ contextFull: "shift" }, "rotary", 2 * PAGE_SIZE + 1);
  const wrong: [ContextOptions, PositionKind, string][] = [
    [{ contextFull: "slide" }, "learned", "learned its positions"],
    [{ contextFull: "slide", keep: 1 }, "rotary", "at least 65 tokens, not 64"],
    [{ keep: -1 }, "rotary", "keep"],
    [{ keep: 1.5 }, "rotary", "keep"],
    [{ contextFull: "wrap" as "slide" }, "rotary", "contextFull"],
  ];
  for (const [options, positions, says] of wrong) {
    assertThrows(() => checkContext(options, positions, 2 * PAGE_SIZE), InvalidArgumentError, says);
  }
});
