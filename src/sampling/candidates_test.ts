import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { normal } from "../../tests/support/random.ts";
import { Candidates } from "./candidates.ts";
import { expInto } from "./exp.ts";
import { cutAt } from "./select.ts";
import { likeliest, topK } from "./top_k.ts";
import { topP } from "./top_p.ts";

const keys = fc.array(fc.oneof(fc.float({ noNaN: true }), fc.integer({ min: -3, max: 3 })), {
  minLength: 1,
  maxLength: 200,
}).map((values) => Float32Array.from(values, (value) => value + 0));

/** Indices of the highest keys first, by a plain sort. */
function ranked(row: Float32Array): number[] {
  return [...row.keys()].sort((a, b) => (row[a] === row[b] ? 0 : row[b] - row[a]) || a - b);
}

/** What a cut keeps, in order of the indices. */
function kept(row: Float32Array, { key, ties }: { key: number; ties: number }): number[] {
  let left = ties;
  return [...row.keys()].filter((i) => row[i] > key || (row[i] === key && left-- > 0));
}

Deno.test("a cut by count keeps the head of a stable sort", () => {
  fc.assert(fc.property(keys, fc.integer({ min: 1, max: 220 }), (row, count) => {
    const expected = ranked(row).slice(0, count).sort((a, b) => a - b);
    assertEquals(kept(row, cutAt(row, row.length, Math.max(...row), count)), expected);
  }));
});

Deno.test("a cut by shares keeps the shortest head of a stable sort that has the target", () => {
  const shared = keys.chain((row) =>
    fc.tuple(
      fc.constant(row),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: row.length, maxLength: row.length }),
    )
  );
  fc.assert(fc.property(shared, fc.double({ min: 0, max: 1, noNaN: true }), ([row, shares], part) => {
    // Whole shares, so that sums do not depend on their order.
    const target = Math.ceil(part * shares.reduce((a, b) => a + b));
    const expected: number[] = [];
    for (let order = ranked(row), i = 0, sum = 0; i === 0 || sum < target; i++) {
      expected.push(order[i]);
      sum += shares[order[i]];
    }
    const cut = cutAt(row, row.length, Math.max(...row), target, Float64Array.from(shares));
    assertEquals(kept(row, cut), expected.sort((a, b) => a - b));
  }));
});

Deno.test("a target above the whole keeps everything, one of 0 the first", () => {
  const row = Float32Array.of(1, 3, 2, 3);
  const shares = new Float64Array(4).fill(0.1);
  assertEquals(kept(row, cutAt(row, 4, 3, 0.4000001, shares)), [0, 1, 2, 3]);
  assertEquals(kept(row, cutAt(row, 4, 3, 0, shares)), [1]);
});

Deno.test("likeliest is the head of a stable sort, with NaN and minus infinity last; the row stays", () => {
  const row = Float32Array.of(NaN, 1, -0, 0, Infinity, 1, -Infinity);
  const before = row.slice();
  assertEquals(likeliest(row, 5).map(({ id }) => id), [4, 1, 5, 2, 3]);
  assertEquals(likeliest(row, 9).length, 7);
  assertEquals(row, before);
});

Deno.test("weights are the softmax of logits / temperature, whatever was taken away before", () => {
  fc.assert(fc.property(
    fc.array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 60 }),
    fc.integer({ min: 1, max: 60 }),
    fc.double({ min: 0.1, max: 10, noNaN: true }),
    (values, count, temperature) => {
      const row = Float32Array.from(values);
      const candidates = new Candidates().load(row.slice());
      assert(candidates.total > 0);
      topK(candidates, count);
      candidates.temperature = temperature;
      const ids = ranked(row).slice(0, count).sort((a, b) => a - b);
      const max = Math.max(...row);
      const exact = ids.map((id) => Math.exp((row[id] - max) / temperature));
      const total = exact.reduce((a, b) => a + b);
      assertEquals(candidates.length, ids.length);
      ids.forEach((id, i) => {
        assertEquals(candidates.id(i), id);
        assert(Math.abs(candidates.weights[i] / candidates.total - exact[i] / total) < 1e-12);
      });
    },
  ));
});

Deno.test("expInto is exp within 3e-14 down to -88, and 0 below", () => {
  const values = Float32Array.from({ length: 100_000 }, (_, i) => -i / 1000);
  const powers = new Float64Array(values.length);
  const sum = expInto(values, values.length, 0, 1, powers);
  let exact = 0;
  for (const [i, value] of values.entries()) {
    exact += Math.exp(value);
    if (value > -88) assert(Math.abs(powers[i] / Math.exp(value) - 1) < 3e-14, `e^${value}`);
    else assertEquals(powers[i], 0);
  }
  assert(Math.abs(sum / exact - 1) < 1e-12);
});

Deno.test("of a row of many blocks, what is found at a glance is what a look at every token finds", () => {
  const long = fc.record({
    length: fc.integer({ min: 200, max: 3000 }),
    seed: fc.nat(),
    width: fc.constantFrom(0.5, 3, 8),
    // Few distinct logits, so that ties are common.
    rounded: fc.boolean(),
    forbidden: fc.nat({ max: 900 }),
  });
  fc.assert(fc.property(
    long,
    fc.integer({ min: 1, max: 400 }),
    fc.double({ min: 0.01, max: 0.99, noNaN: true }),
    ({ length, seed, width, rounded, forbidden }, count, mass) => {
      const row = normal(length, seed, width).map((logit) => rounded ? Math.round(logit) : logit);
      row.fill(NaN, 100, Math.min(100 + forbidden, length - 1));
      const load = () => new Candidates().load(row.slice());
      const ids = (candidates: Candidates) =>
        Array.from({ length: candidates.length }, (_, i) => candidates.id(i));
      const { logits, max } = load();
      const reached = load().reachedBy(count);
      assert(logits.filter((logit) => logit >= reached).length >= Math.min(count, length));
      assertEquals([...load().atLeast(reached)], [...logits.keys()].filter((id) => logits[id] >= reached));
      const narrowed = load();
      topK(narrowed, count);
      assertEquals(ids(narrowed), kept(logits, cutAt(logits, length, max, count)));
      const nucleus = load();
      topP(nucleus, mass);
      const { weights, total } = load();
      assertEquals(ids(nucleus), kept(logits, cutAt(logits, length, max, mass * total, weights)));
    },
  ));
});

Deno.test("what is dropped is gone, and all others stay in order with their logits", () => {
  const rows = fc.array(fc.float({ min: -9, max: 9, noNaN: true }), { minLength: 2, maxLength: 40 });
  fc.assert(fc.property(rows, fc.nat(), fc.boolean(), (values, seed, narrowed) => {
    const row = Float32Array.from(values);
    const candidates = new Candidates().load(row.slice());
    if (narrowed) topK(candidates, row.length - 1);
    const before = Array.from({ length: candidates.length }, (_, i) => candidates.id(i));
    const gone = Uint32Array.from(before.keys()).filter((i) => i > 0 && (seed >> (i % 30)) % 2 === 1);
    const expected = before.filter((_, i) => !gone.includes(i));
    const highest = Math.max(...expected.map((id) => row[id]));
    candidates.drop(gone, highest);
    assertEquals(Array.from({ length: candidates.length }, (_, i) => candidates.id(i)), expected);
    expected.forEach((id, i) => assertEquals(candidates.logits[i], row[id]));
    const exact = expected.map((id) => Math.exp(row[id] - highest));
    exact.forEach((weight, i) => assert(Math.abs(candidates.weights[i] - weight) < 1e-12));
  }));
});
