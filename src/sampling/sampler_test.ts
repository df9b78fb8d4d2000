import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidArgumentError } from "../errors.ts";
import { Sampler, type SamplingOptions } from "./sampler.ts";

const LOGITS = [2, 1, 0, -1, 1.5, -3];

function sample(options: SamplingOptions, position = 0, logits = LOGITS, history: number[] = []): number {
  return new Sampler(options).next(Float32Array.from(logits), history, position);
}

/** The ids that are ever drawn. */
function drawn(options: SamplingOptions, draws = 2000): number[] {
  const ids = new Set(
    Array.from({ length: draws }, (_, position) => sample({ seed: 3, ...options }, position)),
  );
  return [...ids].sort((a, b) => a - b);
}

Deno.test("temperature 0 takes the first of the likeliest", () => {
  const row = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 30 });
  fc.assert(fc.property(row, (logits) => {
    assertEquals(sample({ temperature: 0 }, 0, logits), logits.indexOf(Math.max(...logits)));
  }));
});

Deno.test("without options the choice is greedy, and says so", () => {
  assert(new Sampler().greedy);
  assert(new Sampler({ temperature: 2, topK: 1 }).greedy);
  assert(!new Sampler({ temperature: 1 }).greedy);
  assert(!new Sampler({ repetitionPenalty: 1.1 }).greedy);
});

Deno.test("the same seed and position give the same token, whatever was drawn before", () => {
  const used = new Sampler({ temperature: 1, seed: 5 });
  for (let i = 0; i < 10; i++) used.next(Float32Array.from(LOGITS), [], i);
  for (let position = 0; position < 50; position++) {
    const fresh = sample({ temperature: 1, seed: 5 }, position);
    assertEquals(used.next(Float32Array.from(LOGITS), [], position), fresh);
  }
});

Deno.test("draws follow the softmax of logits / temperature: chi-square", () => {
  for (const temperature of [0.7, 1, 2]) {
    const weights = LOGITS.map((logit) => Math.exp(logit / temperature));
    const total = weights.reduce((a, b) => a + b);
    const draws = 20_000;
    const counts = new Array<number>(LOGITS.length).fill(0);
    const sampler = new Sampler({ temperature, seed: 11 });
    for (let i = 0; i < draws; i++) counts[sampler.next(Float32Array.from(LOGITS), [], i)]++;
    const chi2 = counts.reduce((sum, count, i) => {
      const expected = draws * weights[i] / total;
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    // 5 degrees of freedom: 99.9 % of samples are below 20.5.
    assert(chi2 < 20.5, `temperature ${temperature}: chi-square ${chi2}`);
  }
});

Deno.test("topK, topP and minP keep what they promise", () => {
  assertEquals(drawn({ temperature: 3, topK: 3 }), [0, 1, 4]);
  // Probabilities 0.46, 0.28, 0.17, 0.06, 0.02, 0.00.
  assertEquals(drawn({ temperature: 3, topP: 0.7 }), [0, 4]);
  assertEquals(drawn({ temperature: 3, minP: 0.3 }), [0, 1, 4]);
  assertEquals(drawn({ temperature: 3, topK: 3, topP: 0.7 }), [0, 4]);
  assertEquals(drawn({ temperature: 3 }), [0, 1, 2, 3, 4, 5]);
});

Deno.test("topK counts the mass of topP over the tokens that it keeps", () => {
  // Of the three likeliest, the first two hold 0.82: 0.75 of all tokens.
  assertEquals(drawn({ temperature: 3, topK: 3, topP: 0.8 }), [0, 4]);
  assertEquals(drawn({ temperature: 3, topP: 0.8 }), [0, 1, 4]);
});

Deno.test("the repetition penalty lowers tokens in the window, positive or negative", () => {
  const greedy = { temperature: 0, repetitionPenalty: 2 };
  assertEquals(sample(greedy, 0, [4, 3, 1], [0]), 1);
  assertEquals(sample(greedy, 0, [-1, -1.5, -9], [0]), 1);
  assertEquals(sample({ ...greedy, repetitionWindow: 1 }, 0, [4, 3, 1], [0, 2]), 0);
  assertEquals(sample({ ...greedy, repetitionWindow: 0 }, 0, [4, 3, 1], [0]), 0);
});

Deno.test("a token counts once for the penalty, however often it was seen", () => {
  assertEquals(sample({ temperature: 0, repetitionPenalty: 1.2 }, 0, [4, 3], [0, 0, 0]), 0);
});

Deno.test("infinite logits: minus is never drawn, plus always", () => {
  for (let position = 0; position < 100; position++) {
    assertEquals(sample({ temperature: 1, seed: 1 }, position, [-Infinity, 0, -Infinity]), 1);
    assertEquals(sample({ temperature: 1, seed: 1 }, position, [0, 1, Infinity]), 2);
  }
});

Deno.test("options out of range are refused by name", () => {
  const wrong: [SamplingOptions, string][] = [
    [{ temperature: -1 }, "temperature"],
    [{ temperature: NaN }, "temperature"],
    [{ topK: 1.5 }, "topK"],
    [{ topP: 1.1 }, "topP"],
    [{ minP: -0.1 }, "minP"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty"],
    [{ seed: -1 }, "seed"],
  ];
  for (const [options, name] of wrong) assertThrows(() => new Sampler(options), InvalidArgumentError, name);
});
