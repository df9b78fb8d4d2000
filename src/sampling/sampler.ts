/**
 * Chooses the next token from a row of logits: repetition penalty, top-k, top-p, min-p, temperature, draw.
 *
 * @module
 */
import { BackendError, InvalidArgumentError } from "../errors.ts";
import { all, type Candidates, topK, topP } from "./candidates.ts";
import { uniform } from "./random.ts";

/** How the next token is chosen. */
export interface SamplingOptions {
  /** Divides the logits before the draw; 0 always takes the likeliest token. Default: 0. */
  temperature?: number;
  /** Keeps the k likeliest tokens; 0 keeps all. Default: 0. */
  topK?: number;
  /** Keeps the fewest tokens whose probabilities sum to this; 1 keeps all. Default: 1. */
  topP?: number;
  /** Keeps tokens at least this fraction as likely as the likeliest; 0 keeps all. Default: 0. */
  minP?: number;
  /** Divides positive and multiplies negative logits of tokens already seen; 1 is off. Default: 1. */
  repetitionPenalty?: number;
  /** How many of the latest tokens the penalty looks at. Default: 64. */
  repetitionWindow?: number;
  /** Seed of the draws; the same seed gives the same tokens. Default: a random one. */
  seed?: number;
}

const RANGES: readonly [keyof SamplingOptions, number, number][] = [
  ["temperature", 0, Infinity],
  ["topK", 0, 2 ** 31],
  ["topP", 0, 1],
  ["minP", 0, 1],
  ["repetitionPenalty", Number.MIN_VALUE, Infinity],
  ["repetitionWindow", 0, 2 ** 31],
  ["seed", 0, Number.MAX_SAFE_INTEGER],
];

/** Chooses tokens for one sequence. */
export class Sampler {
  readonly #options: Required<SamplingOptions>;

  /** Checks the options and fills in the defaults. */
  constructor(options: SamplingOptions = {}) {
    for (const [name, min, max] of RANGES) {
      const value = options[name];
      if (value === undefined) continue;
      const whole = name === "seed" || name === "topK" || name === "repetitionWindow";
      if (!(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
        throw new InvalidArgumentError(
          `${name} must be ${whole ? "a whole number " : ""}of ${min} to ${max}, not ${value}`,
        );
      }
    }
    this.#options = {
      temperature: options.temperature ?? 0,
      topK: options.topK ?? 0,
      topP: options.topP ?? 1,
      minP: options.minP ?? 0,
      repetitionPenalty: options.repetitionPenalty ?? 1,
      repetitionWindow: options.repetitionWindow ?? 64,
      seed: options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
    };
  }

  /** Whether the choice is the plain argmax, so that the logits need not be read. */
  get greedy(): boolean {
    const { temperature, topK, repetitionPenalty } = this.#options;
    return (temperature === 0 || topK === 1) && repetitionPenalty === 1;
  }

  /**
   * Chooses a token. `logits` may be changed. `history` holds prompt and earlier tokens; `position` is the place of
   * the new token in the sequence.
   */
  next(logits: Float32Array, history: readonly number[], position: number): number {
    const { temperature, seed } = this.#options;
    this.#penalize(logits, history);
    if (temperature === 0) return topK(logits, 1).ids[0];
    return draw(this.#truncate(logits), temperature, uniform(seed, position));
  }

  #penalize(logits: Float32Array, history: readonly number[]): void {
    const { repetitionPenalty, repetitionWindow } = this.#options;
    if (repetitionPenalty === 1 || repetitionWindow === 0) return;
    for (const id of new Set(history.slice(-repetitionWindow))) {
      logits[id] = logits[id] > 0 ? logits[id] / repetitionPenalty : logits[id] * repetitionPenalty;
    }
  }

  #truncate(logits: Float32Array): Candidates {
    const options = this.#options;
    let kept = all;
    if (options.topK > 0 && options.topK < logits.length) {
      const best = topK(logits, options.topK);
      const nucleus = options.topP < 1
        ? topP(Float32Array.from(best.logits), options.topP).ids.length
        : best.ids.length;
      kept = () => ({ ids: best.ids.slice(0, nucleus), logits: best.logits.slice(0, nucleus) });
    } else if (options.topP < 1) kept = (row) => topP(row, options.topP);
    return atLeast(kept(logits), options.minP);
  }
}

/** Keeps the candidates at least `minP` times as likely as the likeliest. */
function atLeast({ ids, logits }: Candidates, minP: number): Candidates {
  if (minP === 0) return { ids, logits };
  const threshold = maximum(logits) + Math.log(minP);
  const keep = [...ids.keys()].filter((i) => logits[i] >= threshold);
  return { ids: keep.map((i) => ids[i]), logits: keep.map((i) => logits[i]) };
}

function draw({ ids, logits }: Candidates, temperature: number, random: number): number {
  const max = maximum(logits);
  const weights = logits.map((logit) => Math.exp((logit - max) / temperature));
  let rest = random * weights.reduce((sum, weight) => sum + (weight || 0), 0);
  for (let i = 0; i < ids.length; i++) {
    rest -= weights[i] || 0;
    if (rest < 0) return ids[i];
  }
  const fallback = logits.indexOf(max);
  if (fallback < 0) {
    throw new BackendError("sampling", "every logit is NaN; the weights or a kernel are broken");
  }
  return ids[fallback];
}

function maximum(values: readonly number[]): number {
  return values.reduce((max, value) => (value > max ? value : max), -Infinity);
}
