import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Logprobs } from "./logprobs.ts";

const row = fc.array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 50 })
  .map((values) => Float32Array.from(values));

Deno.test("log-probabilities are logits less the logarithm of the sum of their powers", () => {
  fc.assert(fc.property(row, (logits) => {
    const logprobs = new Logprobs(logits);
    const norm = Math.log([...logits].reduce((sum, logit) => sum + Math.exp(logit), 0));
    for (const [id, logit] of logits.entries()) assert(Math.abs(logprobs.of(id) - (logit - norm)) < 1e-9);
  }));
});

Deno.test("the top is sorted and of the asked length, and is what of() says", () => {
  fc.assert(fc.property(row, fc.nat({ max: 60 }), (logits, count) => {
    const logprobs = new Logprobs(logits);
    const top = logprobs.top(count);
    const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
    assertEquals(top.map(({ id }) => id), order.slice(0, count));
    for (const { id, logprob } of top) assertEquals(logprob, logprobs.of(id));
  }));
});

Deno.test("log-probabilities do not change with the row, and the row does not change", () => {
  const logits = Float32Array.of(1, NaN, 3);
  const logprobs = new Logprobs(logits);
  assertEquals(logits, Float32Array.of(1, NaN, 3));
  const before = logprobs.of(2);
  logits.fill(0);
  assertEquals(logprobs.of(2), before);
  assertEquals(logprobs.top(1), [{ id: 2, logprob: before }]);
});

Deno.test("a number adds the likeliest tokens, `true` the token's own alone", () => {
  const logprobs = new Logprobs(Float32Array.of(0, 0));
  assertEquals(logprobs.chosen(1, true), { logprob: -Math.LN2 });
  assertEquals(logprobs.chosen(1, 1), { logprob: -Math.LN2, topLogprobs: [{ id: 0, logprob: -Math.LN2 }] });
  assertEquals(logprobs.chosen(1, 0), { logprob: -Math.LN2, topLogprobs: [] });
});

Deno.test("NaN and -Infinity are impossible, and change nothing of the others", () => {
  fc.assert(fc.property(row, fc.constantFrom(NaN, -Infinity), fc.nat(50), (logits, impossible, place) => {
    const at = Math.min(place, logits.length);
    const logprobs = new Logprobs(Float32Array.of(...logits.slice(0, at), impossible, ...logits.slice(at)));
    const alone = new Logprobs(logits);
    assertEquals(logprobs.of(at), -Infinity);
    for (const id of logits.keys()) assertEquals(logprobs.of(id < at ? id : id + 1), alone.of(id));
    assertEquals(logprobs.top(60)[logits.length], { id: at, logprob: -Infinity });
  }));
});

Deno.test("rows at the ends of the range: nothing possible, or all but certain", () => {
  const nothing = new Logprobs(Float32Array.of(NaN, -Infinity));
  assertEquals([nothing.of(0), nothing.of(1)], [-Infinity, -Infinity]);
  const certain = new Logprobs(Float32Array.of(Infinity, 3, Infinity, NaN));
  assertEquals([0, 1, 2, 3].map((id) => certain.of(id)), [-Math.LN2, -Infinity, -Math.LN2, -Infinity]);
});

Deno.test("two rows that are looked at in turn do not disturb each other", () => {
  const [a, b] = [new Logprobs(Float32Array.of(0, 0)), new Logprobs(Float32Array.of(0, 0, 0, 0))];
  assertEquals([a.of(0), b.of(0)], [-Math.LN2, -Math.log(4)]);
  assertEquals([a.top(1), b.top(1)], [[{ id: 0, logprob: -Math.LN2 }], [{ id: 0, logprob: -Math.log(4) }]]);
  assertEquals(a.of(1), -Math.LN2);
});
