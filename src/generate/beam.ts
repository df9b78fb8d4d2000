/**
 * Beam search: the likeliest whole texts rather than the likeliest next token. The rules are those of transformers'
 * `generate(num_beams)`, so sequences and scores are equal to its.
 *
 * @module
 */
import { checkWhole } from "../check.ts";
import { Logprobs } from "../sampling/logprobs.ts";
import {
  type Branch,
  type ForkingSequences,
  ranked,
  type ScoredSequence,
  sequenceScore,
  unlessAborted,
} from "./forking.ts";

/** Options of a beam search. */
export interface BeamOptions {
  /** Sequences that are kept at each step. */
  readonly beams: number;
  /** The most tokens of a sequence. */
  readonly maxTokens: number;
  /** Tokens that end a sequence; they are part of it. Default: none. */
  readonly eosIds?: readonly number[];
  /** A score is the sum of log-probabilities / length^penalty: above 0 prefers long sequences. Default: 1. */
  readonly lengthPenalty?: number;
  /**
   * When to stop looking: `true` as soon as `beams` sequences have ended; `false` when the best that goes on could not
   * beat the worst of them if it ended now; `"never"` when it could not at any length. Default: `false`.
   */
  readonly earlyStopping?: boolean | "never";
  /** Ends the search; what there is by then is the result. */
  readonly signal?: AbortSignal;
}

/** A sequence that may go on. */
interface Running {
  readonly ids: readonly number[];
  readonly logprob: number;
  readonly branch: Branch;
}

/**
 * Searches for the likeliest sequences, best first; `beams` of them, or fewer where the vocabulary is very small.
 *
 * ```ts
 * import { beamSearch } from "./beam.ts";
 * // A model of two tokens that likes to alternate.
 * const logits = (last: number) => last === 0 ? Float32Array.of(0, 2) : Float32Array.of(2, 0);
 * const [best] = await beamSearch({
 *   start: () => Promise.resolve(logits(1)),
 *   step: (branches) => Promise.resolve(branches.map(({ token }) => logits(token))),
 * }, { beams: 2, maxTokens: 4 });
 * console.assert(best.ids.join() === "0,1,0,1");
 * ```
 */
export async function beamSearch(
  sequences: ForkingSequences,
  options: BeamOptions,
): Promise<ScoredSequence[]> {
  const { beams, maxTokens, signal } = options;
  checkWhole("beams", beams, 1);
  checkWhole("maxTokens", maxTokens, 1);
  const eosIds = new Set(options.eosIds);
  // Enough to go on with, even if every token that ends a text is among the best of each.
  const width = Math.max(2, 1 + eosIds.size) * beams;
  let running: readonly Running[] = [{ ids: [], logprob: 0, branch: { parent: 0, token: -1 } }];
  let finished: readonly ScoredSequence[] = [];
  for (let length = 1; length <= maxTokens && !signal?.aborted; length++) {
    const step = length === 1
      ? sequences.start().then((row) => [row])
      : sequences.step(running.map(({ branch }) => branch));
    const rows = await unlessAborted(step, signal);
    if (!rows) break;
    const best = extend(running, rows, width);
    const ends = (candidate: Running): boolean => length === maxTokens || eosIds.has(candidate.branch.token);
    const ended = best.slice(0, beams).filter(ends)
      .map((candidate) => toBeam(candidate, eosIds.has(candidate.branch.token) ? "stop" : "length", options));
    finished = ranked([...finished, ...ended], beams);
    running = best.filter((candidate) => !ends(candidate)).slice(0, beams);
    if (running.length === 0 || isDecided(running[0].logprob, length, finished, options)) {
      return [...finished];
    }
  }
  return ranked([...finished, ...running.map((one) => toBeam(one, "abort", options))], beams);
}

/** The likeliest `width` sequences that are longer by one token. */
function extend(running: readonly Running[], rows: readonly Float32Array[], width: number): Running[] {
  return rows.flatMap((row, parent) =>
    new Logprobs(row).top(width).map(({ id, logprob }) => ({
      ids: [...running[parent].ids, id],
      logprob: running[parent].logprob + logprob,
      branch: { parent, token: id },
    }))
  ).sort((a, b) => b.logprob - a.logprob).slice(0, width);
}

/** Whether no running sequence can change the result; `best` is the likeliest, `length` tokens long. */
function isDecided(
  best: number,
  length: number,
  finished: readonly ScoredSequence[],
  options: BeamOptions,
): boolean {
  const { beams, maxTokens, lengthPenalty = 1, earlyStopping = false } = options;
  if (finished.length < beams) return false;
  if (earlyStopping === true) return true;
  const reachable = earlyStopping === "never" && lengthPenalty > 0 ? maxTokens : length;
  return sequenceScore(best, reachable, lengthPenalty) <= finished[finished.length - 1].score;
}

function toBeam(
  { ids, logprob }: Running,
  finishReason: ScoredSequence["finishReason"],
  options: BeamOptions,
): ScoredSequence {
  return { ids, score: sequenceScore(logprob, ids.length, options.lengthPenalty), logprob, finishReason };
}
