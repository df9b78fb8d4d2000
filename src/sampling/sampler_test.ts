import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BackendError, InvalidArgumentError, OutOfBoundsError } from "../errors.ts";
import { uniform } from "./random.ts";
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

Deno.test("whatever may move the likeliest token needs the logits", () => {
  const needs: SamplingOptions[] = [
    { logitBias: { 1: 1 } },
    { presencePenalty: 0.1 },
    { frequencyPenalty: 0.1 },
    { dryMultiplier: 0.5 },
    { processors: [() => {}] },
    { dynamicTemperatureRange: 0.5 },
    { mirostat: 2 },
    { mirostat: 1, topK: 1 },
  ];
  for (const options of needs) assert(!new Sampler(options).greedy, JSON.stringify(options));
  const needNot: SamplingOptions[] = [
    { topP: 0.5, minP: 0.5, typicalP: 0.5, topNSigma: 1, xtcProbability: 1 },
    { presencePenalty: 1, repetitionWindow: 0 },
    { mirostat: 2, temperature: 0 },
    { temperature: 1, topK: 1, xtcProbability: 1, xtcThreshold: 0 },
  ];
  for (const options of needNot) assert(new Sampler(options).greedy, JSON.stringify(options));
});

/** Rows of some hundred tokens without equal ones. */
const wide = fc.uniqueArray(fc.integer({ min: -20_000, max: 20_000 }), { minLength: 2, maxLength: 300 })
  .map((values) => values.map((value) => value / 1000));

Deno.test("top-k 1 is greedy, whatever else is asked for", () => {
  const rest = fc.record({
    temperature: fc.double({ min: 0, max: 100, noNaN: true }),
    topP: fc.double({ min: 0, max: 1, noNaN: true }),
    typicalP: fc.double({ min: 0, max: 1, noNaN: true }),
    minP: fc.double({ min: 0, max: 1, noNaN: true }),
    xtcProbability: fc.constantFrom(0, 1),
    topNSigma: fc.constantFrom(0, 0.5),
    seed: fc.nat(),
  });
  fc.assert(fc.property(wide, rest, (logits, options) => {
    assertEquals(sample({ ...options, topK: 1 }, 0, logits), logits.indexOf(Math.max(...logits)));
  }));
});

Deno.test("temperature towards 0 tends to greedy", () => {
  fc.assert(fc.property(wide, fc.nat(), (logits, seed) => {
    // The best is ahead by 0.001 at least: a temperature of 1e-5 leaves the rest e^-100 each.
    assertEquals(sample({ temperature: 1e-5, seed }, 0, logits), logits.indexOf(Math.max(...logits)));
    assertEquals(sample({ temperature: 1e-320, seed }, 0, logits), logits.indexOf(Math.max(...logits)));
  }));
  const share = (temperature: number): number => {
    const sampler = new Sampler({ temperature, seed: 8 });
    const ids = Array.from({ length: 4000 }, (_, i) => sampler.next(Float32Array.from(LOGITS), [], i));
    return ids.filter((id) => id === 0).length / ids.length;
  };
  const shares = [4, 1, 0.5, 0.2, 0.1].map(share);
  assertEquals(shares, shares.toSorted((a, b) => a - b));
  assert(shares[0] < 0.35 && shares[4] > 0.98, `${shares}`);
});

Deno.test("an infinite temperature draws every possible token as often", () => {
  const logits = [5, -Infinity, -5, 0];
  const ids = Array.from({ length: 3000 }, (_, i) => sample({ temperature: Infinity, seed: 2 }, i, logits));
  for (const id of [0, 2, 3]) assert(Math.abs(ids.filter((drawn) => drawn === id).length - 1000) < 120);
  assert(!ids.includes(1));
});

Deno.test("processors see the model's logits, history and position, in their order, before anything else", () => {
  const seen: unknown[] = [];
  const options: SamplingOptions = {
    temperature: 0,
    logitBias: { 0: 1 },
    repetitionPenalty: 2,
    processors: [
      (logits, { history, position }) => {
        seen.push([...logits], [...history], position);
        logits[2] = 9;
      },
      (logits) => {
        seen.push(logits[2]);
        logits[2] = -Infinity;
      },
    ],
  };
  assertEquals(sample(options, 7, [1, 2, 3], [1]), 0);
  assertEquals(seen, [[1, 2, 3], [1], 7, 9]);
});

Deno.test("where every token is forbidden the message says by what", () => {
  const nothing: SamplingOptions = { processors: [(logits) => logits.fill(-Infinity)] };
  for (const temperature of [0, 1]) {
    assertThrows(() => sample({ ...nothing, temperature }), InvalidArgumentError, "processors");
    assertThrows(() => sample({ temperature }, 0, [NaN, NaN], [1]), BackendError, "NaN");
  }
});

Deno.test("a bias for a token outside the vocabulary is refused; history may hold such tokens", () => {
  assertThrows(() => sample({ logitBias: { 6: 1 } }), OutOfBoundsError, "token 6");
  assertEquals(sample({ presencePenalty: 1, dryMultiplier: 1 }, 0, LOGITS, [99, 98, 97, 99, 98]), 0);
});

/** Mirostat the plain way, over a row that falls with the id: ids and surprises in bits. */
function naiveMirostat(
  logits: Float32Array,
  version: 1 | 2,
  tau: number,
  eta: number,
  seed: number,
  count: number,
) {
  const softmax = (row: readonly number[]): number[] => {
    const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return row.map((logit) => Math.exp(logit) / total);
  };
  const p = softmax([...logits]);
  let [products, squares] = [0, 0];
  for (let i = 0; i < 99; i++) {
    products += Math.log((i + 2) / (i + 1)) * Math.log(p[i] / p[i + 1]);
    squares += Math.log((i + 2) / (i + 1)) ** 2;
  }
  const s = products / squares;
  let mu = 2 * tau;
  return Array.from({ length: count }, (_, position) => {
    const kept = version === 1
      ? Math.trunc(((s - 1) * 2 ** mu / (1 - p.length ** (1 - s))) ** (1 / s))
      : p.filter((value) => -Math.log2(value) <= mu).length;
    const best = softmax([...logits.slice(0, Math.max(kept, 1))]);
    let rest = uniform(seed, position);
    const id = best.findIndex((value) => (rest -= value) < 0);
    const surprise = -Math.log2(best[id]);
    mu -= eta * (surprise - tau);
    return { id, surprise };
  });
}

Deno.test("mirostat takes the tokens of its description, and holds the mean surprise at its target", () => {
  const logits = Float32Array.from({ length: 2000 }, (_, i) => -1.1 * Math.log(i + 1) + 3);
  for (const mirostat of [1, 2] as const) {
    for (const mirostatTau of [2, 4]) {
      const expected = naiveMirostat(logits, mirostat, mirostatTau, 0.1, 4, 1000);
      const sampler = new Sampler({ mirostat, mirostatTau, seed: 4 });
      for (const [position, { id }] of expected.entries()) {
        assertEquals(
          sampler.next(logits.slice(), [], position),
          id,
          `mirostat ${mirostat}, token ${position}`,
        );
      }
      const mean = expected.reduce((sum, { surprise }) => sum + surprise, 0) / expected.length;
      assert(Math.abs(mean - mirostatTau) < 0.2, `mean surprise ${mean}`);
    }
  }
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
    [{ presencePenalty: 101 }, "presencePenalty"],
    [{ frequencyPenalty: -Infinity }, "frequencyPenalty"],
    [{ dryMultiplier: -1 }, "dryMultiplier"],
    [{ dryBase: 0.5 }, "dryBase"],
    [{ dryAllowedLength: 0 }, "dryAllowedLength"],
    [{ drySequenceBreakers: ["text"] }, "drySequenceBreakers"],
    [{ drySequenceBreakers: [[]] }, "drySequenceBreakers"],
    [{ topNSigma: -1 }, "topNSigma"],
    [{ typicalP: 2 }, "typicalP"],
    [{ xtcProbability: 1.5 }, "xtcProbability"],
    [{ xtcThreshold: NaN }, "xtcThreshold"],
    [{ dynamicTemperatureRange: -1 }, "dynamicTemperatureRange"],
    [{ mirostat: 3 as 2 }, "mirostat"],
    [{ mirostatTau: 0 }, "mirostatTau"],
    [{ mirostatEta: 2 }, "mirostatEta"],
    [{ logitBias: { [-1]: 1 } }, "logitBias"],
    [{ logitBias: new Map([[1, NaN]]) }, "logitBias"],
  ];
  for (const [options, name] of wrong) assertThrows(() => new Sampler(options), InvalidArgumentError, name);
});
