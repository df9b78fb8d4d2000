/**
 * How the next token is chosen, as options: their names, ranges and defaults.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";

/** What a processor knows beside the logits. */
export interface ProcessorContext {
  /** Prompt and generated tokens so far. */
  readonly history: readonly number[];
  /** Place of the token that is being chosen in the sequence. */
  readonly position: number;
}

/**
 * Changes a row of logits, [vocabulary], in place before a token is chosen; `-Infinity` forbids a token.
 *
 * ```ts
 * import type { LogitsProcessor } from "@llmforge/llmforge";
 * const evenOnly: LogitsProcessor = (logits) => {
 *   for (let id = 1; id < logits.length; id += 2) logits[id] = -Infinity;
 * };
 * const row = Float32Array.of(1, 2, 3);
 * evenOnly(row, { history: [], position: 0 });
 * console.assert(row[1] === -Infinity);
 * ```
 */
export type LogitsProcessor = (logits: Float32Array, context: ProcessorContext) => void;

/** How the next token is chosen. The order of the fields is the order in which they act. */
export interface SamplingOptions {
  /** Functions that change the logits first, in this order. Default: none. */
  processors?: readonly LogitsProcessor[];
  /** What is added to the logits of these tokens; `-Infinity` forbids one. Default: nothing. */
  logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number>;
  /** Divides positive and multiplies negative logits of tokens already seen; above 0, 1 is off. Default: 1. */
  repetitionPenalty?: number;
  /** Taken from the logit of a token that was seen, once; -100 to 100. Default: 0. */
  presencePenalty?: number;
  /** Taken from the logit of a token for each time that it was seen; -100 to 100. Default: 0. */
  frequencyPenalty?: number;
  /** How many of the latest tokens, prompt included, these penalties look at. Default: 64. */
  repetitionWindow?: number;
  /**
   * DRY: tokens that would go on repeating what was said before lose multiplier · base^(length - allowed length); at
   * least 0, which is off. Default: 0.
   */
  dryMultiplier?: number;
  /** DRY: by how much the penalty grows with each repeated token; at least 1. Default: 1.75. */
  dryBase?: number;
  /** DRY: repetitions of fewer tokens cost nothing; at least 1. Default: 2. */
  dryAllowedLength?: number;
  /** DRY: how many of the latest tokens are looked at. Default: all. */
  dryWindow?: number;
  /**
   * DRY: repetitions do not reach across these, and a token that is one costs nothing: token ids, sequences of ids, or
   * texts. Default: line end, colon, quotation mark and asterisk where there is a tokenizer, else none.
   */
  drySequenceBreakers?: readonly (string | number | readonly number[])[];
  /** Keeps the tokens within this many standard deviations of the highest logit; at least 0, which is off. Default: 0. */
  topNSigma?: number;
  /** Keeps the k likeliest tokens; 0 keeps all. Default: 0. */
  topK?: number;
  /**
   * Locally typical sampling: keeps the tokens whose surprise is nearest to the expected one and whose probabilities
   * sum to this; 0 to 1, 1 is off. Default: 1.
   */
  typicalP?: number;
  /** Keeps the fewest tokens whose probabilities sum to this; 0 to 1, 1 keeps all. Default: 1. */
  topP?: number;
  /** Keeps tokens at least this fraction as likely as the likeliest; 0 to 1, 0 keeps all. Default: 0. */
  minP?: number;
  /** XTC: how often the likeliest tokens are left out; 0 to 1, 0 is off. Default: 0. */
  xtcProbability?: number;
  /** XTC: of the tokens at least this likely only the unlikeliest stays; 0 to 1. Default: 0.1. */
  xtcThreshold?: number;
  /** Divides the logits before the draw; 0 always takes the likeliest token. Default: 0; with `mirostat`: 1. */
  temperature?: number;
  /**
   * The temperature moves by up to this much around `temperature`: lower where the model is sure, higher where it is
   * not; at least 0, which is off. Default: 0.
   */
  dynamicTemperatureRange?: number;
  /** Bends how dynamic temperature follows the entropy; at least 0. Default: 1. */
  dynamicTemperatureExponent?: number;
  /** Mirostat 1 or 2 takes the place of everything from `topNSigma` to `xtcThreshold`; 0 is off. Default: 0. */
  mirostat?: 0 | 1 | 2;
  /** Mirostat: the surprise, in bits, that it steers to; above 0. Default: 5. */
  mirostatTau?: number;
  /** Mirostat: how fast it steers; 0 to 1. Default: 0.1. */
  mirostatEta?: number;
  /** Seed of the draws; the same seed gives the same tokens. Default: a random one. */
  seed?: number;
}

/** A number that is an option: what it may be, and what it is where nothing is said. */
export interface OptionRange {
  /** The least. */
  readonly min: number;
  /** The most. */
  readonly max: number;
  /** Whether it must be whole. */
  readonly whole?: boolean;
  /** What it is where nothing is said. */
  readonly default: number;
}

/** Names of the options that are numbers with a default. */
export type NumericOption = Exclude<
  keyof SamplingOptions,
  "processors" | "logitBias" | "drySequenceBreakers" | "seed"
>;

const POSITIVE = Number.MIN_VALUE;
const COUNT = { min: 0, max: 2 ** 31, whole: true };

/** Ranges and defaults of the numeric options. */
export const RANGES: Readonly<Record<NumericOption, OptionRange>> = {
  repetitionPenalty: { min: POSITIVE, max: Infinity, default: 1 },
  presencePenalty: { min: -100, max: 100, default: 0 },
  frequencyPenalty: { min: -100, max: 100, default: 0 },
  repetitionWindow: { ...COUNT, default: 64 },
  dryMultiplier: { min: 0, max: Infinity, default: 0 },
  dryBase: { min: 1, max: Infinity, default: 1.75 },
  dryAllowedLength: { ...COUNT, min: 1, default: 2 },
  dryWindow: { ...COUNT, default: 2 ** 31 },
  topNSigma: { min: 0, max: Infinity, default: 0 },
  topK: { ...COUNT, default: 0 },
  typicalP: { min: 0, max: 1, default: 1 },
  topP: { min: 0, max: 1, default: 1 },
  minP: { min: 0, max: 1, default: 0 },
  xtcProbability: { min: 0, max: 1, default: 0 },
  xtcThreshold: { min: 0, max: 1, default: 0.1 },
  temperature: { min: 0, max: Infinity, default: 0 },
  dynamicTemperatureRange: { min: 0, max: Infinity, default: 0 },
  dynamicTemperatureExponent: { min: 0, max: Infinity, default: 1 },
  mirostat: { min: 0, max: 2, whole: true, default: 0 },
  mirostatTau: { min: POSITIVE, max: Infinity, default: 5 },
  mirostatEta: { min: 0, max: 1, default: 0.1 },
};

/** Options with all that was left open filled in. */
export interface ResolvedOptions extends Readonly<Record<NumericOption, number>> {
  readonly processors: readonly LogitsProcessor[];
  /** Pairs of token id and bias. */
  readonly logitBias: readonly (readonly [number, number])[];
  /** Sequences of ids. */
  readonly drySequenceBreakers: readonly (readonly number[])[];
  readonly seed: number;
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws {InvalidArgumentError} that names the option which is out of its range.
 */
export function resolveOptions(options: SamplingOptions): ResolvedOptions {
  const numbers = Object.fromEntries(
    Object.entries(RANGES).map((
      [name, range],
    ) => [name, checked(name, range, options[name as NumericOption])]),
  ) as Record<NumericOption, number>;
  return {
    ...numbers,
    temperature: options.temperature ?? (numbers.mirostat === 0 ? RANGES.temperature.default : 1),
    processors: options.processors ?? [],
    logitBias: biases(options.logitBias),
    drySequenceBreakers: (options.drySequenceBreakers ?? []).map(breaker),
    seed: checked(
      "seed",
      { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true, default: 0 },
      options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
    ),
  };
}

function checked(name: string, range: OptionRange, value: number | undefined): number {
  if (value === undefined) return range.default;
  const { min, max, whole } = range;
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? "a whole number " : "";
  const bounds = min === POSITIVE
    ? "above 0"
    : max === Infinity
    ? `of at least ${min}`
    : `of ${min} to ${max}`;
  throw new InvalidArgumentError(`${name} must be ${kind}${bounds}, not ${value}`);
}

function biases(given: SamplingOptions["logitBias"]): readonly (readonly [number, number])[] {
  const pairs = given instanceof Map ? [...given] : Object.entries(given ?? {});
  return pairs.map(([key, bias]): [number, number] => {
    const id = Number(key);
    if (isId(id) && bias === bias) return [id, bias];
    throw new InvalidArgumentError(`logitBias must give numbers to token ids, not ${bias} to ${key}`);
  });
}

function breaker(given: string | number | readonly number[]): readonly number[] {
  const ids = typeof given === "number" ? [given] : given;
  if (typeof ids !== "string" && ids.length > 0 && ids.every(isId)) return ids;
  throw new InvalidArgumentError(
    `drySequenceBreakers must be token ids where there is no tokenizer, not ${JSON.stringify(given)}`,
  );
}

function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 0;
}
