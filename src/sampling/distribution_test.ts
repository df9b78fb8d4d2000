/** 100,000 draws of each chain against its exact distribution, computed the plain way: F64, and sorted. @module */
import { assert, assertEquals } from "@std/assert";
import { Sampler, type SamplingOptions } from "./sampler.ts";

const DRAWS = 100_000;
/** Twenty-four tokens, uneven, with two equal ones. */
const LOGITS = Float32Array.from(
  { length: 24 },
  (_, id) => id === 9 ? 2 : 3 * Math.sin(id * 1.7) + id % 5 * 0.4,
);
const HISTORY = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 1, 4, 1, 5, 3, 1, 4];

interface Entry {
  readonly id: number;
  readonly logit: number;
}

function softmax(entries: readonly Entry[], temperature = 1): number[] {
  const max = Math.max(...entries.map(({ logit }) => logit));
  const weights = entries.map(({ logit }) => Math.exp((logit - max) / temperature));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
}

/** The fewest first entries whose probabilities sum to `mass`. */
function head(entries: readonly Entry[], p: readonly number[], mass: number): Entry[] {
  let [count, sum] = [0, 0];
  while (count < entries.length && (count === 0 || sum < mass)) sum += p[count++];
  return entries.slice(0, count);
}

/** Applies what stands before the truncations. */
function prepared(options: SamplingOptions): Entry[] {
  const logits = [...LOGITS];
  for (const [id, bias] of Object.entries(options.logitBias ?? {})) logits[Number(id)] += bias;
  const window = HISTORY.slice(-(options.repetitionWindow ?? 64));
  for (const id of new Set(window)) {
    const count = window.filter((seen) => seen === id).length;
    const penalty = options.repetitionPenalty ?? 1;
    logits[id] = (logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty) -
      (options.presencePenalty ?? 0) - count * (options.frequencyPenalty ?? 0);
  }
  // The history ends in 5 3 1 4, an earlier part was 5 3 1 4 and then 1: a repetition of four.
  if (options.dryMultiplier) logits[1] -= options.dryMultiplier * (options.dryBase ?? 1.75) ** 2;
  return logits.map((logit, id) => ({ id, logit })).filter(({ logit }) => logit > -Infinity)
    .sort((a, b) => b.logit - a.logit || a.id - b.id);
}

function truncated(entries: Entry[], options: SamplingOptions): Entry[] {
  const { topNSigma = 0, topK = 0, typicalP = 1, topP = 1, minP = 0 } = options;
  if (topNSigma > 0) {
    const mean = entries.reduce((sum, { logit }) => sum + logit, 0) / entries.length;
    const sigma = Math.sqrt(
      entries.reduce((sum, { logit }) => sum + (logit - mean) ** 2, 0) / entries.length,
    );
    entries = entries.filter(({ logit }) => logit >= entries[0].logit - topNSigma * sigma);
  }
  if (topK > 0) entries = entries.slice(0, topK);
  if (typicalP < 1) {
    const p = softmax(entries);
    const entropy = -p.reduce((sum, value) => sum + value * Math.log(value), 0);
    const order = [...entries.keys()].sort((a, b) =>
      Math.abs(-Math.log(p[a]) - entropy) - Math.abs(-Math.log(p[b]) - entropy)
    );
    entries = head(order.map((i) => entries[i]), order.map((i) => p[i]), typicalP);
    entries.sort((a, b) => b.logit - a.logit || a.id - b.id);
  }
  if (topP < 1) entries = head(entries, softmax(entries), topP);
  const p = softmax(entries);
  return entries.filter((_, i) => p[i] >= minP * p[0]);
}

function withoutTopChoices(entries: Entry[], threshold: number): Entry[] {
  const above = softmax(entries).filter((p) => p >= threshold).length;
  return entries.slice(Math.max(above - 1, 0));
}

function scaled(entries: Entry[], options: SamplingOptions): number[] {
  const { temperature = options.mirostat ? 1 : 0, dynamicTemperatureRange: range = 0 } = options;
  if (range === 0) return softmax(entries, temperature);
  const p = softmax(entries);
  const entropy = -p.reduce((sum, value) => sum + value * Math.log(value), 0);
  const part = (entropy / Math.log(entries.length)) ** (options.dynamicTemperatureExponent ?? 1);
  const lowest = Math.max(0, temperature - range);
  return softmax(entries, lowest + (temperature + range - lowest) * part);
}

/** Exact probability of every token. */
function exact(options: SamplingOptions): number[] {
  const result = new Array<number>(LOGITS.length).fill(0);
  const add = (entries: Entry[], weight: number): void => {
    const p = scaled(entries, options);
    entries.forEach(({ id }, i) => result[id] += weight * p[i]);
  };
  const { mirostat = 0, mirostatTau: tau = 5, xtcProbability = 0, xtcThreshold = 0.1 } = options;
  const entries = prepared(options);
  if (mirostat === 0) {
    const kept = truncated(entries, options);
    add(kept, 1 - xtcProbability);
    if (xtcProbability > 0) add(withoutTopChoices(kept, xtcThreshold), xtcProbability);
    return result;
  }
  const p = scaled(entries, options);
  if (mirostat === 2) {
    add(entries.filter((_, i) => i === 0 || -Math.log2(p[i]) <= 2 * tau), 1);
    return result;
  }
  let [products, squares] = [0, 0];
  for (let i = 0; i + 1 < Math.min(entries.length, 100); i++) {
    const step = Math.log((i + 2) / (i + 1));
    products += step * Math.log(p[i] / p[i + 1]);
    squares += step ** 2;
  }
  const s = products / squares;
  const k = ((s - 1) * 2 ** (2 * tau) / (1 - LOGITS.length ** (1 - s))) ** (1 / s);
  add(entries.slice(0, Math.max(Math.trunc(k), 1)), 1);
  return result;
}

/** The value that chi-square stays below in 99.99 % of samples (Wilson and Hilferty, 1931). */
function chiSquareBound(degrees: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + 3.719 * Math.sqrt(spread)) ** 3;
}

function check(options: SamplingOptions): void {
  const expected = exact(options);
  assert(Math.abs(expected.reduce((a, b) => a + b) - 1) < 1e-12);
  const counts = new Array<number>(LOGITS.length).fill(0);
  const logits = new Float32Array(LOGITS.length);
  let sampler = new Sampler({ seed: 1234, ...options });
  for (let position = 0; position < DRAWS; position++) {
    // Mirostat moves with what it chooses: each draw is the first of a text.
    if (options.mirostat) sampler = new Sampler({ seed: 1234, ...options });
    logits.set(LOGITS);
    counts[sampler.next(logits, HISTORY, position)]++;
  }
  let [chiSquare, bins, rareCount, rareExpected] = [0, 0, 0, 0];
  const addBin = (count: number, mean: number): void => {
    chiSquare += (count - mean) ** 2 / mean;
    bins++;
  };
  for (const [id, p] of expected.entries()) {
    if (p === 0) assertEquals(counts[id], 0, `token ${id} was drawn`);
    else if (p * DRAWS >= 5) addBin(counts[id], p * DRAWS);
    else [rareCount, rareExpected] = [rareCount + counts[id], rareExpected + p * DRAWS];
  }
  if (rareExpected >= 5) addBin(rareCount, rareExpected);
  assert(bins > 1);
  const bound = chiSquareBound(bins - 1);
  assert(chiSquare < bound, `chi-square ${chiSquare.toFixed(1)} of ${bins} bins, bound ${bound.toFixed(1)}`);
}

const CHAINS: Readonly<Record<string, SamplingOptions>> = {
  "temperature 1": { temperature: 1 },
  "temperature 2.5": { temperature: 2.5 },
  "logit bias": { temperature: 1, logitBias: { 2: 3, 7: -Infinity, 11: -1.5 } },
  "penalties": { temperature: 1, repetitionPenalty: 1.4, presencePenalty: 0.3, frequencyPenalty: 0.2 },
  "penalties in a window": { temperature: 1, repetitionPenalty: 1.4, repetitionWindow: 5 },
  "DRY": { temperature: 1, dryMultiplier: 0.5 },
  "top-nσ": { temperature: 1.5, topNSigma: 1.2 },
  "top-k": { temperature: 1.2, topK: 7 },
  "typical": { temperature: 1, typicalP: 0.6 },
  "top-p": { temperature: 1.3, topP: 0.8 },
  "min-p": { temperature: 2, minP: 0.2 },
  "XTC": { temperature: 1, xtcProbability: 0.4, xtcThreshold: 0.08 },
  "dynamic temperature": {
    temperature: 1,
    dynamicTemperatureRange: 0.7,
    dynamicTemperatureExponent: 1.5,
  },
  "mirostat 1": { mirostat: 1, mirostatTau: 2 },
  "mirostat 2": { mirostat: 2, mirostatTau: 1.6, temperature: 1.2 },
  "all of them": {
    temperature: 1.4,
    logitBias: { 3: 0.5 },
    repetitionPenalty: 1.1,
    presencePenalty: 0.1,
    frequencyPenalty: 0.05,
    dryMultiplier: 0.3,
    topNSigma: 2.5,
    topK: 18,
    typicalP: 0.97,
    topP: 0.95,
    minP: 0.02,
    xtcProbability: 0.5,
    xtcThreshold: 0.12,
    dynamicTemperatureRange: 0.3,
  },
};

for (const [name, options] of Object.entries(CHAINS)) {
  Deno.test(`100,000 draws follow the exact distribution: ${name}`, () => check(options));
}
