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
