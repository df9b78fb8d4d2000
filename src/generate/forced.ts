/**
 * Tokens that a model's files force upon the ends of its texts, as BART's do.
 *
 * @module
 */
import type { Branch, ForkingSequences } from "./forking.ts";

/** Tokens that stand at the ends of every text. */
export interface ForcedTokens {
  /** The first generated token. */
  readonly first?: number;
  /** The last of as many as may be generated; it ends the text. */
  readonly last?: number;
}

/** The token that must stand at this place, counted from 0, of a text of at most `maxTokens`. */
export function forcedAt(
  { first, last }: ForcedTokens,
  place: number,
  maxTokens: number,
): number | undefined {
  return place === 0 && first !== undefined ? first : place === maxTokens - 1 ? last : undefined;
}

/** Sequences whose logits leave forced tokens as the only choice. */
export function withForced(
  sequences: ForkingSequences,
  forced: ForcedTokens,
  maxTokens: number,
): ForkingSequences {
  let place = 0;
  const force = (rows: readonly Float32Array[]): readonly Float32Array[] => {
    const id = forcedAt(forced, place++, maxTokens);
    if (id !== undefined) rows.forEach((row) => row.fill(-Infinity).fill(0, id, id + 1));
    return rows;
  };
  return {
    start: async () => force([await sequences.start()])[0],
    step: async (branches: readonly Branch[]) => force(await sequences.step(branches)),
  };
}
