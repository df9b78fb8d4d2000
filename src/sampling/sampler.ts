/**
 * Chooses the next token from a row of logits. The order is llama.cpp's: processors, logit bias, penalties, DRY,
 * top-nσ, top-k, typical, top-p, min-p, XTC, temperature, draw; or mirostat in place of the truncations.
 *
 * @module
 */
import { BackendError, InvalidArgumentError } from "../errors.ts";
import { type Candidates, scratch } from "./candidates.ts";
import { draw } from "./draw.ts";
import { dry } from "./dry.ts";
import { biasLogits } from "./logit_bias.ts";
import { minP } from "./min_p.ts";
import { mirostat1, mirostat2 } from "./mirostat.ts";
import { type ResolvedOptions, resolveOptions, type SamplingOptions } from "./options.ts";
import { penalize, penalizes } from "./penalties.ts";
import { uniform } from "./random.ts";
import { applyTemperature, dynamicTemperature } from "./temperature.ts";
import { topK } from "./top_k.ts";
import { topNSigma } from "./top_n_sigma.ts";
import { topP } from "./top_p.ts";
import { typicalP } from "./typical_p.ts";
import { excludeTopChoices } from "./xtc.ts";

export type { SamplingOptions } from "./options.ts";

/** What the draws of one position are for; each has a counter of its own. */
const DRAW = { token: 0, xtc: 1 };

/**
 * Chooses tokens for one sequence. Its only state is mirostat's; draws depend on the seed and the position alone.
 *
 * ```ts
 * import { Sampler } from "./sampler.ts";
 * const sampler = new Sampler({ temperature: 0.8, topK: 2, seed: 1 });
 * console.assert(sampler.next(Float32Array.of(1, 9, 8), [], 0) > 0);
 * ```
 */
export class Sampler {
  readonly #options: ResolvedOptions;
  /** Mirostat's bound on the surprise, in bits. */
  #mu: number;

  /**
   * Checks the options and fills in the defaults.
   *
   * @throws {InvalidArgumentError} that names the option which is out of its range.
   */
  constructor(options: SamplingOptions = {}) {
    this.#options = resolveOptions(options);
    this.#mu = 2 * this.#options.mirostatTau;
  }

  /** Whether the choice is the plain argmax, so that the logits need not be read. */
  get greedy(): boolean {
    const { processors, logitBias, dryMultiplier } = this.#options;
    return this.#takesLikeliest && processors.length === 0 && logitBias.length === 0 && dryMultiplier === 0 &&
      !penalizes(this.#options);
  }

  /**
   * Chooses a token. `logits` may be changed. `history` holds prompt and earlier tokens; `position` is the place of
   * the new token in the sequence.
   */
  next(logits: Float32Array, history: readonly number[], position: number): number {
    const options = this.#options;
    for (const process of options.processors) process(logits, { history, position });
    biasLogits(logits, options.logitBias);
    penalize(logits, history, options);
    dry(logits, history, options);
    const candidates = scratch.load(logits);
    if (candidates.max === -Infinity) throw this.#nothingLeft();
    if (this.#takesLikeliest) return logits.indexOf(candidates.max);
    return options.mirostat === 0
      ? this.#truncated(candidates, position)
      : this.#steered(candidates, position);
  }

  /** Whether nothing after the penalties can make the choice another than the likeliest. */
  get #takesLikeliest(): boolean {
    const { temperature, dynamicTemperatureRange, topK: k, mirostat } = this.#options;
    return (temperature === 0 && dynamicTemperatureRange === 0) || (k === 1 && mirostat === 0);
  }

  #truncated(candidates: Candidates, position: number): number {
    const options = this.#options;
    if (options.topNSigma > 0) topNSigma(candidates, options.topNSigma);
    if (options.topK > 0) topK(candidates, options.topK);
    if (options.typicalP < 1) typicalP(candidates, options.typicalP);
    if (options.topP < 1) topP(candidates, options.topP);
    if (options.minP > 0) minP(candidates, options.minP);
    if (options.xtcProbability > 0 && uniform(options.seed, position, DRAW.xtc) < options.xtcProbability) {
      excludeTopChoices(candidates, options.xtcThreshold);
    }
    this.#setTemperature(candidates);
    return candidates.id(draw(candidates, uniform(options.seed, position, DRAW.token)));
  }

  #steered(candidates: Candidates, position: number): number {
    const { mirostat, mirostatTau, mirostatEta, seed } = this.#options;
    const vocabulary = candidates.length;
    this.#setTemperature(candidates);
    if (mirostat === 1) mirostat1(candidates, this.#mu, vocabulary);
    else mirostat2(candidates, this.#mu);
    const chosen = draw(candidates, uniform(seed, position, DRAW.token));
    const surprise = -Math.log2(candidates.weights[chosen] / candidates.total);
    this.#mu -= mirostatEta * (surprise - mirostatTau);
    return candidates.id(chosen);
  }

  #setTemperature(candidates: Candidates): void {
    const { temperature, dynamicTemperatureRange, dynamicTemperatureExponent } = this.#options;
    applyTemperature(
      candidates,
      dynamicTemperatureRange === 0
        ? temperature
        : dynamicTemperature(candidates, temperature, dynamicTemperatureRange, dynamicTemperatureExponent),
    );
  }

  #nothingLeft(): Error {
    const { processors, logitBias } = this.#options;
    return processors.length > 0 || logitBias.length > 0
      ? new InvalidArgumentError(
        "every token is forbidden by the processors and logitBias; leave at least one",
      )
      : new BackendError("sampling", "every logit is NaN; the weights or a kernel are broken");
  }
}
