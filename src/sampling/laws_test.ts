/** The law of each sampler, for rows of any kind. @module */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Candidates } from "./candidates.ts";
import { biasLogits } from "./logit_bias.ts";
import { minP } from "./min_p.ts";
import { mirostat1, mirostat2 } from "./mirostat.ts";
import { penalize } from "./penalties.ts";
import { applyTemperature, dynamicTemperature } from "./temperature.ts";
import { topK } from "./top_k.ts";
import { topNSigma } from "./top_n_sigma.ts";
import { topP } from "./top_p.ts";
import { typicalP } from "./typical_p.ts";
import { excludeTopChoices } from "./xtc.ts";

/** Few distinct values, so that ties are common, beside any values. */
const row = fc.oneof(
  fc.array(fc.integer({ min: -8, max: 8 }).map((n) => n / 2), { minLength: 1, maxLength: 40 }),
  fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 40 }),
).map((values) => Float32Array.from(values, (value) => value + 0));
const share = fc.double({ min: 0, max: 0.999, noNaN: true });
const TINY = 1e-6;

/** Ids that are left after `narrow`. */
function left(logits: Float32Array, narrow: (candidates: Candidates) => void): number[] {
  const candidates = new Candidates().load(logits.slice());
  narrow(candidates);
  const ids = Array.from({ length: candidates.length }, (_, i) => candidates.id(i));
  // Ids stay in order, with their own logits, and something is left.
  assert(ids.length > 0);
  ids.forEach((id, i) => assert(candidates.logits[i] === logits[id] && (i === 0 || ids[i - 1] < id)));
  return ids;
}

function probabilities(logits: Float32Array, temperature = 1): number[] {
  const max = Math.max(...logits);
  const weights = [...logits].map((logit) => Math.exp((logit - max) / temperature));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Whether no token outside `ids` is likelier than one inside. */
function areLikeliest(logits: Float32Array, ids: readonly number[]): boolean {
  const least = Math.min(...ids.map((id) => logits[id]));
  return [...logits.keys()].every((id) => ids.includes(id) || logits[id] <= least);
}

Deno.test("top-k keeps k tokens, and none of the others is likelier", () => {
  fc.assert(fc.property(row, fc.integer({ min: 1, max: 50 }), (logits, k) => {
    const ids = left(logits, (candidates) => topK(candidates, k));
    assertEquals(ids.length, Math.min(k, logits.length));
    assert(areLikeliest(logits, ids));
  }));
});

Deno.test("top-p keeps the likeliest, enough for the mass, and not one more", () => {
  fc.assert(fc.property(row, share, (logits, mass) => {
    const ids = left(logits, (candidates) => topP(candidates, mass));
    const p = probabilities(logits);
    assert(areLikeliest(logits, ids));
    const kept = ids.map((id) => p[id]);
    assert(sum(kept) >= mass - TINY);
    assert(ids.length === 1 || sum(kept) - Math.min(...kept) < mass + TINY);
  }));
});

Deno.test("min-p keeps exactly the tokens above the bar, and does not see a shift of all logits", () => {
  fc.assert(fc.property(row, share, fc.integer({ min: -64, max: 64 }), (logits, fraction, shift) => {
    const ids = left(logits, (candidates) => minP(candidates, fraction));
    const p = probabilities(logits);
    const bar = fraction * Math.max(...p);
    for (const [id, value] of p.entries()) {
      if (Math.abs(value - bar) > TINY * bar) assertEquals(ids.includes(id), value > bar);
    }
    // Halves stay exact under a whole shift.
    const halves = logits.map((logit) => Math.round(logit * 2) / 2);
    assertEquals(
      left(halves.map((logit) => logit + shift), (candidates) => minP(candidates, fraction)),
      left(halves, (candidates) => minP(candidates, fraction)),
    );
  }));
});

Deno.test("top-nσ keeps exactly the tokens within n deviations of the highest, at any temperature", () => {
  fc.assert(fc.property(row, fc.double({ min: 0.01, max: 4, noNaN: true }), (logits, n) => {
    const ids = left(logits, (candidates) => topNSigma(candidates, n));
    const mean = sum([...logits]) / logits.length;
    const sigma = Math.sqrt(sum([...logits].map((logit) => (logit - mean) ** 2)) / logits.length);
    const bar = Math.max(...logits) - n * sigma;
    for (const [id, logit] of logits.entries()) {
      if (Math.abs(logit - bar) > 1e-4) assertEquals(ids.includes(id), logit > bar);
    }
    assertEquals(
      left(logits.map((logit) => logit * 4), (candidates) => topNSigma(candidates, n)).length,
      ids.length,
    );
  }));
});

Deno.test("top-nσ does not count forbidden tokens", () => {
  const logits = Float32Array.of(3, 2, -Infinity, -5, -Infinity);
  assertEquals(
    left(logits, (candidates) => topNSigma(candidates, 1)),
    left(logits.filter((logit) => logit > -Infinity), (candidates) => topNSigma(candidates, 1)),
  );
});

Deno.test("typical sampling keeps those nearest to the entropy, enough for the mass, and not one more", () => {
  fc.assert(fc.property(row, share, (logits, mass) => {
    const ids = left(logits, (candidates) => typicalP(candidates, mass));
    const p = probabilities(logits);
    const entropy = -sum(p.map((value) => value > 0 ? value * Math.log(value) : 0));
    const distance = p.map((value) => Math.abs(-Math.log(value) - entropy));
    const farthest = Math.max(...ids.map((id) => distance[id]));
    for (const id of logits.keys()) assert(ids.includes(id) || distance[id] >= farthest - 1e-5);
    assert(sum(ids.map((id) => p[id])) >= mass - TINY);
    const withoutOne = ids.filter((id) => distance[id] < farthest - 1e-5);
    assert(sum(withoutOne.map((id) => p[id])) < mass + TINY);
  }));
});

Deno.test("XTC leaves one token above the threshold, the unlikeliest, and all below it", () => {
  fc.assert(fc.property(row, fc.double({ min: 0.01, max: 0.6, noNaN: true }), (logits, threshold) => {
    const p = probabilities(logits);
    fc.pre(p.every((value) => Math.abs(value - threshold) > TINY));
    const ids = left(logits, (candidates) => excludeTopChoices(candidates, threshold));
    const above = [...logits.keys()].filter((id) => p[id] >= threshold);
    const [stays] = above.toSorted((a, b) => logits[a] - logits[b] || b - a);
    assertEquals(ids, [...logits.keys()].filter((id) => !above.includes(id) || id === stays));
  }));
});

Deno.test("XTC with a threshold of 0 keeps a token that is possible, and what is impossible is no choice", () => {
  const logits = Float32Array.of(-Infinity, 2, 1, -Infinity);
  assertEquals(left(logits, (candidates) => excludeTopChoices(candidates, 0)), [0, 2, 3]);
});

Deno.test("penalties move seen tokens only, downwards, and by what they say", () => {
  const seen = fc.array(fc.nat({ max: 45 }), { maxLength: 30 });
  const penalties = fc.record({
    repetitionPenalty: fc.double({ min: 1, max: 3, noNaN: true }),
    presencePenalty: fc.double({ min: 0, max: 2, noNaN: true }),
    frequencyPenalty: fc.double({ min: 0, max: 2, noNaN: true }),
    repetitionWindow: fc.integer({ min: 0, max: 20 }),
  });
  fc.assert(fc.property(row, seen, penalties, (logits, history, options) => {
    const after = logits.slice();
    penalize(after, history, options);
    const window = options.repetitionWindow === 0 ? [] : history.slice(-options.repetitionWindow);
    for (const [id, logit] of logits.entries()) {
      const count = window.filter((seenId) => seenId === id).length;
      const scaled = logit > 0 ? logit / options.repetitionPenalty : logit * options.repetitionPenalty;
      const expected = count === 0
        ? logit
        : scaled - options.presencePenalty - count * options.frequencyPenalty;
      assertEquals(after[id], Math.fround(expected));
      assert(after[id] <= logit);
    }
  }));
});

Deno.test("logit bias moves the named tokens and no others", () => {
  const logits = Float32Array.of(1, 2, 3);
  biasLogits(logits, [[0, 0.5], [2, -Infinity]]);
  assertEquals(logits, Float32Array.of(1.5, 2, -Infinity));
});

Deno.test("temperature 0 keeps the first of the likeliest", () => {
  fc.assert(fc.property(row, (logits) => {
    assertEquals(left(logits, (candidates) => applyTemperature(candidates, 0)), [
      logits.indexOf(Math.max(...logits)),
    ]);
  }));
});

Deno.test("dynamic temperature goes from the lowest, where one is certain, to the highest, where all are equal", () => {
  const at = (logits: Float32Array): number =>
    dynamicTemperature(new Candidates().load(logits.slice()), 0.8, 0.5, 1);
  assert(Math.abs(at(new Float32Array(7)) - 1.3) < 1e-9);
  assert(Math.abs(at(Float32Array.of(0, 90, 0)) - 0.3) < 1e-9);
  assertEquals(dynamicTemperature(new Candidates().load(Float32Array.of(1, 1)), 0.8, 2, 1), 2.8);
  fc.assert(fc.property(row, (logits) => {
    fc.pre(logits.length > 1);
    const p = probabilities(logits);
    const entropy = -sum(p.map((value) => value > 0 ? value * Math.log(value) : 0));
    assert(Math.abs(at(logits) - (0.3 + entropy / Math.log(p.length))) < 1e-6);
  }));
});

Deno.test("mirostat 2 keeps exactly the tokens whose surprise is at most mu, or the likeliest", () => {
  fc.assert(fc.property(row, fc.double({ min: -2, max: 12, noNaN: true }), (logits, mu) => {
    const ids = left(logits, (candidates) => mirostat2(candidates, mu));
    const p = probabilities(logits);
    const best = Math.max(...logits);
    for (const [id, value] of p.entries()) {
      const surprise = -Math.log2(value);
      if (logits[id] !== best && Math.abs(surprise - mu) > 1e-5) {
        assertEquals(ids.includes(id), surprise < mu);
      }
    }
    assert(ids.includes(logits.indexOf(best)));
  }));
});

Deno.test("mirostat 1 keeps the k of its formula on a row that follows Zipf's law", () => {
  const vocabulary = 1000;
  for (const exponent of [0.8, 1.2, 2]) {
    for (const mu of [2, 5, 8]) {
      const logits = Float32Array.from({ length: vocabulary }, (_, i) => -exponent * Math.log(i + 1));
      const excess = exponent - 1;
      const k = (excess * 2 ** mu / (1 - vocabulary ** -excess)) ** (1 / exponent);
      const ids = left(logits, (candidates) => mirostat1(candidates, mu, vocabulary));
      assert(
        Math.abs(ids.length - Math.min(Math.max(Math.trunc(k), 1), vocabulary)) <= 1,
        `${ids.length}, ${k}`,
      );
      assert(areLikeliest(logits, ids));
    }
  }
});
