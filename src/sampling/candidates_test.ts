import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { all, topK, topP } from "./candidates.ts";

/** Few distinct values, so that ties are common. */
const row = fc.array(fc.integer({ min: -8, max: 8 }).map((n) => n / 2), { minLength: 1, maxLength: 40 })
  .map((values) => Float32Array.from(values));

/** Ids, likeliest first, by a plain sort. */
function ranked(logits: Float32Array): number[] {
  return [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
}

Deno.test("topK is the head of a stable sort", () => {
  fc.assert(fc.property(row, fc.integer({ min: 1, max: 50 }), (logits, count) => {
    const { ids, logits: values } = topK(logits, count);
    assertEquals(ids, ranked(logits).slice(0, count));
    assertEquals(values, ids.map((id) => logits[id]));
  }));
});

Deno.test("topP is the shortest head of a stable sort that has the mass", () => {
  fc.assert(fc.property(row, fc.double({ min: 0, max: 0.999, noNaN: true }), (logits, mass) => {
    const weights = ranked(logits).map((id) => Math.exp(logits[id] - Math.max(...logits)));
    const total = weights.reduce((sum, weight) => sum + weight);
    const { ids } = topP(logits, mass);
    assertEquals(ids, ranked(logits).slice(0, ids.length));
    const sum = (count: number) => weights.slice(0, count).reduce((a, b) => a + b, 0) / total;
    assert(sum(ids.length) >= mass - 1e-9);
    assert(ids.length === 1 || sum(ids.length - 1) < mass + 1e-9);
  }));
});

Deno.test("NaN is the unlikeliest, equal logits stand in order of ids", () => {
  const { ids } = topK(Float32Array.of(NaN, 1, NaN, 1, -Infinity), 5);
  assertEquals(ids.slice(0, 3), [1, 3, 4]);
  assertEquals(ids.slice(3).sort(), [0, 2]);
});

Deno.test("all keeps every token in order", () => {
  assertEquals(all(Float32Array.of(1, 3, 2)), { ids: [0, 1, 2], logits: [1, 3, 2] });
});
