/**
 * Searches for the best of several continuations, of a loaded model: beam search and best of n.
 *
 * @module
 */
import { checkWhole } from "../check.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { SamplingOptions } from "../sampling/sampler.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { beamSearch } from "./beam.ts";
import { bestOf } from "./best_of.ts";
import type { CrossPart } from "./cross_cache.ts";
import { EngineSequences } from "./engine_sequences.ts";
import { withForced } from "./forced.ts";
import type { ForkingSequences, ScoredSequence } from "./forking.ts";
import type { GenerationResult } from "./generate_all.ts";
import { DEFAULT_MAX_TOKENS, type GenerationSource, makeStats } from "./generation.ts";
import { encodePrompt } from "./prompt.ts";

/** What every search can be told. */
export interface SearchOptions {
  /** The most tokens of a sequence. Default: 256, or what is left of the context. */
  maxTokens?: number;
  /** A score is the sum of log-probabilities / length^penalty: above 0 prefers long sequences. Default: 1. */
  lengthPenalty?: number;
  /** Tokens that end a sequence. Default: the model's; an empty list ends none. */
  eosIds?: readonly number[];
  /** Ends the search early; what was found stays. */
  signal?: AbortSignal;
}

/** Options of a beam search. */
export interface BeamSearchOptions extends SearchOptions {
  /** Sequences that are kept at each step, and how many are found; `maxSequences` at most. Default: 4. */
  beams?: number;
  /**
   * When to stop looking: `true` as soon as `beams` sequences have ended; `false` when the best that goes on could not
   * beat the worst of them if it ended now; `"never"` when it could not at any length. Default: `false`.
   */
  earlyStopping?: boolean | "never";
}

/** Options of best of n: a seed, and how to draw, belong to them. */
export interface BestOfNOptions extends SearchOptions, SamplingOptions {
  /** How many continuations are drawn; `maxSequences` at most. Default: 4. */
  count?: number;
}

/** A sequence that was found, and its text. */
export interface FoundSequence extends ScoredSequence {
  /** The text; empty for a model without tokenizer. */
  readonly text: string;
}

/** What a search found. Text, ids and figures are those of the best sequence. */
export interface SearchResult extends GenerationResult {
  /** All sequences, best first. */
  readonly beams: readonly FoundSequence[];
}

/** A model, and how many sequences a step of it has. */
export interface SearchSource extends GenerationSource {
  /** The most sequences. */
  readonly maxSequences: number;
}

/** Runs a search by what is known once the prompt is read. */
type Search = (
  sequences: ForkingSequences,
  known: { promptIds: readonly number[]; maxTokens: number; eosIds: readonly number[] },
) => Promise<ScoredSequence[]>;

/** Beam search. */
export function searchBeams(
  source: SearchSource,
  prompt: string | readonly number[],
  { beams = 4, ...options }: BeamSearchOptions,
): Promise<SearchResult> {
  checkWidth("beams", beams, source);
  return search(
    source,
    prompt,
    options,
    (sequences, known) => beamSearch(sequences, { ...options, ...known, beams }),
  );
}

/** Best of n. */
export function searchBestOf(
  source: SearchSource,
  prompt: string | readonly number[],
  { count = 4, ...options }: BestOfNOptions,
): Promise<SearchResult> {
  checkWidth("count", count, source);
  return search(
    source,
    prompt,
    options,
    (sequences, known) => bestOf(sequences, known.promptIds, { ...options, ...known, count }),
  );
}

function checkWidth(name: string, value: number, { maxSequences }: SearchSource): void {
  checkWhole(name, value, 1);
  if (value <= maxSequences) return;
  throw new InvalidArgumentError(
    `${name} is ${value} and a step has ${maxSequences} sequences; load the model with a larger maxSequences`,
  );
}

async function search(
  { engine, encoder, ...source }: SearchSource,
  prompt: string | readonly number[],
  options: SearchOptions,
  run: Search,
): Promise<SearchResult> {
  const started = performance.now();
  const { signal, lengthPenalty = 1 } = options;
  if (!Number.isFinite(lengthPenalty)) {
    throw new InvalidArgumentError(`lengthPenalty must be a number, not ${lengthPenalty}`);
  }
  const tokenizer = await source.tokenizer();
  const promptIds = await encodePrompt(prompt, tokenizer);
  const startIds = encoder?.startIds ?? promptIds;
  // The last token is never fed back, so the context may be one token shorter than the whole text.
  const room = Math.max(engine.runner.contextLength - startIds.length + 1, 1);
  const maxTokens = options.maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, room);
  checkWhole("maxTokens", maxTokens, 1);
  const eosIds = options.eosIds ?? source.eosIds(tokenizer);
  const prefillStart = performance.now();
  using cross: CrossPart | undefined = await encoder?.read(promptIds, signal);
  using sequences = new EngineSequences(engine, { promptIds: startIds, cross, signal });
  const choices = encoder?.forced ? withForced(sequences, encoder.forced, maxTokens) : sequences;
  const found = await run(choices, { promptIds: startIds, maxTokens, eosIds });
  const beams = found.map((one) => ({ ...one, text: textOf(one, tokenizer, encoder === undefined) }));
  const [best] = beams;
  const stats = makeStats(
    {
      promptIds,
      ids: withoutEnd(best),
      finishReason: best.finishReason,
      prefilled: sequences.prefilled + (encoder ? promptIds.length : 0),
      reused: sequences.reused,
    },
    started,
    prefillStart,
    sequences.firstAt,
  );
  return { text: best.text, ...stats, beams };
}

/** A sequence without the token that ended it. */
function withoutEnd({ ids, finishReason }: ScoredSequence): readonly number[] {
  return finishReason === "stop" ? ids.slice(0, -1) : ids;
}

function textOf(sequence: ScoredSequence, tokenizer: Tokenizer | undefined, continuation: boolean): string {
  const decoder = tokenizer?.stream({ continuation });
  if (!decoder) return "";
  return withoutEnd(sequence).map((id) => decoder.push(id)).join("") + decoder.flush();
}
