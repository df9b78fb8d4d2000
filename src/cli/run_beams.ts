/**
 * `run --beams`: the likeliest texts.
 *
 * @module
 */
import type { SearchResult } from "../generate/search.ts";
import type { Model } from "../model.ts";
import type { GenerationOptions } from "./options.ts";
import { chosenSampling } from "./sampling_options.ts";
import { UsageError } from "./usage_error.ts";

/** Options of a beam search. */
export interface BeamOptions {
  /** How many sequences. */
  beams?: number;
  /** Exponent of the length. */
  lengthPenalty?: number;
  /** Whether to stop as soon as that many have ended. */
  earlyStopping?: boolean;
}

/** Refuses what makes no sense together. */
export function checkBeams(options: BeamOptions & GenerationOptions): void {
  const { beams, lengthPenalty, earlyStopping, maxTokens } = options;
  if (beams === undefined) {
    if (lengthPenalty !== undefined) {
      throw new UsageError("--length-penalty is for a search, give --beams too");
    }
    if (earlyStopping) throw new UsageError("--early-stopping is for a search, give --beams too");
    return;
  }
  if (maxTokens === 0) throw new UsageError("--beams needs --max-tokens of at least 1");
  // A temperature of 0 and a seed change nothing, as they would not without --beams.
  const { seed: _, temperature = 0, ...others } = chosenSampling(options);
  if (temperature > 0 || Object.values(others).some((value) => value !== undefined)) {
    throw new UsageError("--beams draws no tokens, leave the options away that say how to");
  }
}

/** Runs the search. */
export function searchBeams(
  model: Model,
  prompt: string | readonly number[],
  { beams, lengthPenalty, earlyStopping, maxTokens, ignoreEos }: BeamOptions & GenerationOptions,
  signal: AbortSignal,
): Promise<SearchResult> {
  return model.beamSearch(prompt, {
    beams,
    lengthPenalty,
    earlyStopping,
    maxTokens,
    signal,
    ...(ignoreEos ? { eosIds: [] } : {}),
  });
}
