/**
 * Sequences that run together and fork: what beam search and best-of-n ask of whoever runs the model.
 *
 * @module
 */

/** A sequence of the next step: one of the last step's, and the token that it goes on with. */
export interface Branch {
  /** Index of a sequence of the last step. */
  readonly parent: number;
  /** Token that is appended to it. */
  readonly token: number;
}

/**
 * Sequences that are run together and fork. Whoever implements it owns the caches: of a parent that several branches
 * name the pages are shared by count and only a partly filled one is copied, and the pages of one that no branch names
 * are free before the step. What all sequences look at, such as the source of an encoder-decoder model, is its own
 * affair.
 */
export interface ForkingSequences {
  /** Runs the prompt as one sequence; gives the logits after it. */
  start(): Promise<Float32Array>;
  /** Makes the branches the sequences of this step and gives the logits after each, in their order. */
  step(branches: readonly Branch[]): Promise<readonly Float32Array[]>;
}

/** What a step gives; nothing where the signal ended it. Other failures go on. */
export async function unlessAborted<T>(
  step: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  try {
    return await step;
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  }
}

/** A sequence that was found. */
export interface ScoredSequence {
  /** Its tokens without the prompt; with the one that ended it. */
  readonly ids: readonly number[];
  /** Sum of log-probabilities / length^penalty. */
  readonly score: number;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
  /** Why it is not longer. */
  readonly finishReason: "stop" | "length" | "abort";
}

/** A sequence's score: the sum of its log-probabilities / length^penalty. */
export function sequenceScore(logprob: number, length: number, lengthPenalty = 1): number {
  return length === 0 ? 0 : logprob / length ** lengthPenalty;
}

/** The best `count` sequences, best first. */
export function ranked(sequences: readonly ScoredSequence[], count: number): ScoredSequence[] {
  return sequences.toSorted((a, b) => b.score - a.score).slice(0, count);
}
