/**
 * SentencePiece models have no pre-tokenizer: the whole text is one word to merge, which is slow for long texts. Mostly
 * it can be cut with the same result.
 *
 * @module
 */

import { SENTENCE_PIECE_SPACE } from "./vocabulary.ts";

/** A pre-tokenizer that cuts before the spaces that follow a word. */
const WORDS = {
  type: "Split",
  pattern: { Regex: `${SENTENCE_PIECE_SPACE}+[^${SENTENCE_PIECE_SPACE}]*|[^${SENTENCE_PIECE_SPACE}]+` },
  behavior: "Isolated",
  invert: false,
} as const;

/**
 * The pre-tokenizer that cuts a text into words, or `null` where that would change what the merges make of it: where
 * some token has a space (`▁`) after another character. Where none has, no merge crosses the end of a word, and words
 * make short queues and a cache that hits. Added tokens are not looked at, since no merge makes them.
 */
export function wordSplit(tokens: ArrayLike<string>, added: readonly { id: number }[]): typeof WORDS | null {
  const skipped = new Set(added.map(({ id }) => id));
  for (let id = 0; id < tokens.length; id++) {
    if (tokens[id] !== undefined && spansWords(tokens[id]) && !skipped.has(id)) return null;
  }
  return WORDS;
}

function spansWords(token: string): boolean {
  for (
    let at = token.indexOf(SENTENCE_PIECE_SPACE, 1);
    at > 0;
    at = token.indexOf(SENTENCE_PIECE_SPACE, at + 1)
  ) {
    if (token[at - 1] !== SENTENCE_PIECE_SPACE) return true;
  }
  return false;
}
