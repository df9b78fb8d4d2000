/**
 * `bench`: the speed of prefill and decode, as llama-bench defines the two: `pp512` is a prefill of 512 tokens into an
 * empty cache, `tg128` are 128 steps of one token each from an empty cache.
 *
 * @module
 */
import type { Model } from "../model.ts";
import { formatRate, plural } from "./format.ts";
import { modelArgument, openModel } from "./open_model.ts";
import type { ModelOptions } from "./options.ts";
import { note, print, printJson } from "./output.ts";

/** Options of `bench`. */
export interface BenchOptions extends ModelOptions {
  /** Tokens of a prefill. */
  promptTokens?: number;
  /** Tokens to decode. */
  genTokens?: number;
  /** Measurements of each. */
  repeat: number;
}

/** One kind of measurement. */
interface Test {
  /** Name, such as `pp512`. */
  readonly name: string;
  /** Tokens of one measurement. */
  readonly tokens: number;
  /** Does the work once. */
  run(): Promise<unknown>;
}

const PROMPT_TOKENS = 512;
const GEN_TOKENS = 128;

/** Runs it; gives the exit code. */
export async function bench(
  source: string | undefined,
  options: BenchOptions,
  signal: AbortSignal,
): Promise<number> {
  const { json, quiet, repeat } = options;
  const opened = await openModel(modelArgument(source, options.model), options, signal, {
    lazyTokenizer: true,
  });
  await using model = opened.model;
  const { name: backend, device: { threads } } = model.backend;
  if (!quiet && !json) note(`${model.name} on ${backend}, ${plural(threads, "thread")}`);
  const runs: { test: string; tok_s: number[] }[] = [];
  for (const test of tests(model, options, signal)) {
    if (!quiet && !json) note(`measuring ${test.name} ...`);
    const rates = await measure(test, repeat, signal);
    runs.push({ test: test.name, tok_s: rates });
    if (!json) print(`${test.name}: ${formatRate(median(rates))} (median of ${repeat})\n`);
  }
  if (json) printJson({ backend, threads, runs, load_ms: opened.loadMs });
  return 0;
}

function tests(model: Model, options: BenchOptions, signal: AbortSignal): Test[] {
  // What was not asked for is cut to what the context holds; what was asked for fails where it is too long.
  const promptTokens = options.promptTokens ?? Math.min(PROMPT_TOKENS, model.contextLength);
  const genTokens = options.genTokens ?? Math.min(GEN_TOKENS, model.contextLength);
  const ids = Array.from({ length: promptTokens }, (_, i) => (i * 7919 + 17) % model.config.vocabSize);
  const start = ids.slice(0, 1);
  const decode = () =>
    model.generate(start.length > 0 ? start : [0], {
      maxTokens: genTokens,
      temperature: 0,
      ignoreEos: true,
      repetitionPenalty: 1,
      signal,
    }).stats();
  return [
    { name: `pp${promptTokens}`, tokens: promptTokens, run: () => model.logits(ids, undefined, signal) },
    { name: `tg${genTokens}`, tokens: genTokens, run: decode },
  ].filter((test) => test.tokens > 0);
}

/** Tokens a second of each measurement, after one that does not count. */
async function measure({ tokens, run }: Test, repeat: number, signal: AbortSignal): Promise<number[]> {
  const rates: number[] = [];
  for (let round = 0; round <= repeat; round++) {
    signal.throwIfAborted();
    const started = performance.now();
    await run();
    const seconds = (performance.now() - started) / 1000;
    if (round > 0) rates.push(tokens / seconds);
  }
  signal.throwIfAborted();
  return rates;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
