/**
 * Best of n: draws several continuations of one prompt and ranks them by the model's own probabilities.
 *
 * @module
 */
import { checkWhole } from "../check.ts";
import { Logprobs } from "../sampling/logprobs.ts";
import { Sampler, type SamplingOptions } from "../sampling/sampler.ts";
import {
  type ForkingSequences,
  ranked,
  type ScoredSequence,
  sequenceScore,
  unlessAborted,
} from "./forking.ts";

/** Options of best of n. */
export interface BestOfOptions extends SamplingOptions {
  /** How many continuations are drawn. The first has the seed of the options, the others the numbers after it. */
  readonly count: number;
  /** The most tokens of each. */
  readonly maxTokens: number;
  /** Tokens that end one; they are part of it. Default: none. */
  readonly eosIds?: readonly number[];
  /** A score is the sum of log-probabilities / length^penalty. Default: 1, the mean. */
  readonly lengthPenalty?: number;
  /** Ends all of them; what there is by then is the result. */
  readonly signal?: AbortSignal;
}

/** A continuation that is not at its end yet. */
interface Drawn {
  readonly sampler: Sampler;
  readonly ids: readonly number[];
  readonly logprob: number;
  /** Its place in the last step. */
  readonly parent: number;
}

/** Draws `count` continuations of a prompt, best first. They run as one batch. */
export async function bestOf(
  sequences: ForkingSequences,
  prompt: readonly number[],
  options: BestOfOptions,
): Promise<ScoredSequence[]> {
  const { count, maxTokens, lengthPenalty, signal } = options;
  checkWhole("count", count, 1);
  checkWhole("maxTokens", maxTokens, 1);
  const eosIds = new Set(options.eosIds);
  const finished: ScoredSequence[] = [];
  const finish = ({ ids, logprob }: Drawn, finishReason: ScoredSequence["finishReason"]): number =>
    finished.push({ ids, score: sequenceScore(logprob, ids.length, lengthPenalty), logprob, finishReason });
  let active = samplers(options).map((sampler): Drawn => ({ sampler, ids: [], logprob: 0, parent: 0 }));
  const start = signal?.aborted ? undefined : sequences.start().then((row) => [row]);
  let rows: readonly Float32Array[] | undefined = start && await unlessAborted(start, signal);
  while (rows && active.length > 0 && !signal?.aborted) {
    const last = rows;
    const grown = active.map((drawn) => grow(drawn, last[drawn.parent], prompt));
    for (const drawn of grown) if (hasEnded(drawn)) finish(drawn, endsText(drawn) ? "stop" : "length");
    active = grown.filter((drawn) => !hasEnded(drawn));
    if (active.length === 0) break;
    const branches = active.map(({ ids, parent }) => ({ parent, token: ids[ids.length - 1] }));
    rows = await unlessAborted(sequences.step(branches), signal);
    active = active.map((drawn, parent) => ({ ...drawn, parent }));
  }
  for (const drawn of active) finish(drawn, "abort");
  return ranked(finished, count);

  function endsText({ ids }: Drawn): boolean {
    return eosIds.has(ids[ids.length - 1]);
  }
  function hasEnded(drawn: Drawn): boolean {
    return endsText(drawn) || drawn.ids.length === maxTokens;
  }
}

/** A sampler for each continuation. */
function samplers(options: BestOfOptions): Sampler[] {
  const first = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
  return Array.from({ length: options.count }, (_, i) => {
    const seed = first + i <= Number.MAX_SAFE_INTEGER ? first + i : i;
    return new Sampler({ ...options, seed });
  });
}

/** Draws the next token. Several continuations share the row of the prompt, so it is copied. */
function grow(drawn: Drawn, row: Float32Array, prompt: readonly number[]): Drawn {
  const history = [...prompt, ...drawn.ids];
  const logprobs = new Logprobs(row);
  const id = drawn.sampler.next(row.slice(), history, history.length);
  return { ...drawn, ids: [...drawn.ids, id], logprob: drawn.logprob + logprobs.of(id) };
}
