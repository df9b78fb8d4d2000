/**
 * The end-to-end tests, named as llama-bench names them: `pp512` is a prefill of 512 tokens into an empty cache, `tg128`
 * are 128 steps of one token each from an empty cache. `tg32@2048` are 32 steps behind 2,048 tokens, `batch4` is the
 * sum over four sequences that decode at once.
 *
 * @module
 */
import type { Generation, Model } from "../../mod.ts";
import type { Settings } from "./settings.ts";

/** One test. */
export interface EndToEndTest {
  /** Names of the figures that it gives. */
  readonly names: readonly string[];
  /** Why it cannot be run on this model; nothing where it can. */
  obstacle?(model: Model): string | undefined;
  /** Does the work and gives tokens a second, in order of the names. */
  run(model: Model): Promise<number[]>;
}

/** Sequences in a batch test. */
const BATCHES = [4, 8];
/** Tokens that are decoded at length. */
const LONG_GEN_TOKENS = 32;

/** Shortest time, in milliseconds, that a figure may rest on: small models repeat the work. */
const LEAST_MS = 300;

/** All tests, cut to what the model's context holds. */
export function endToEndTests(settings: Settings, model: Model): EndToEndTest[] {
  const { contextLength } = model;
  const promptTokens = Math.min(settings.promptTokens, contextLength);
  const genTokens = Math.min(settings.genTokens, contextLength);
  return [
    {
      names: [`pp${promptTokens}`],
      run: async () => [await rate(promptTokens, () => model.logits(tokenIds(model, promptTokens)))],
    },
    {
      names: [`tg${genTokens}`],
      run: async () => [await rate(genTokens, () => decode(model, 1, genTokens).stats())],
    },
    decodeAtLength(settings.contextTokens),
    ...BATCHES.map((sequences) => batch(sequences, genTokens)),
  ];
}

/** Fixed token ids, spread over the vocabulary. */
export function tokenIds(model: Model, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 7919 + 17) % model.config.vocabSize);
}

function decode(model: Model, promptTokens: number, maxTokens: number): Generation {
  const options = { maxTokens, temperature: 0, ignoreEos: true, repetitionPenalty: 1 };
  return model.generate(tokenIds(model, promptTokens), options);
}

function decodeAtLength(contextTokens: number): EndToEndTest {
  return {
    names: [`pp${contextTokens}`, `tg${LONG_GEN_TOKENS}@${contextTokens}`],
    obstacle({ contextLength }) {
      const needed = contextTokens + LONG_GEN_TOKENS;
      return contextLength < needed ? `the context holds ${contextLength} tokens of ${needed}` : undefined;
    },
    async run(model) {
      // The first token comes of the prefill; the rate is that of the tokens after it.
      const stats = await decode(model, contextTokens, LONG_GEN_TOKENS + 1).stats();
      return [stats.prefillTokensPerSecond, stats.decodeTokensPerSecond];
    },
  };
}

function batch(sequences: number, genTokens: number): EndToEndTest {
  return {
    names: [`batch${sequences}`],
    obstacle(model) {
      const most = model.maxSequences;
      return most >= sequences ? undefined : `a step holds ${most} of ${sequences} sequences`;
    },
    async run(model) {
      const all = () =>
        Promise.all(Array.from({ length: sequences }, () => decode(model, 1, genTokens).stats()));
      // The first batch compiles the Program for so many sequences.
      await Promise.all(Array.from({ length: sequences }, () => decode(model, 1, 1).stats()));
      return [await rate(sequences * genTokens, all)];
    },
  };
}

/** Does the work again and again for as long as a clock needs, and gives tokens a second. */
async function rate(tokens: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let done = tokens;; done += tokens) {
    await work();
    const elapsed = performance.now() - started;
    if (elapsed >= LEAST_MS) return done / elapsed * 1000;
  }
}
