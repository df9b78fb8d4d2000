/**
 * The tokens of a conversation's next prompt. They begin with those that the model has computed, generated ones
 * included, for only then are its pages found again: text that was generated token by token may be encoded otherwise.
 *
 * @module
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** What was said so far: the tokens, and the same as text. */
export interface Transcript {
  /** Tokens of the last prompt and of the answer to it. */
  readonly ids: readonly number[];
  /** The text that they stand for. */
  readonly text: string;
}

/**
 * The tokens of a rendered conversation: those of `before` as far as its text goes on alike, then its own. The two meet
 * where both have the end of a token.
 */
export function promptIds(
  tokenizer: Tokenizer,
  prompt: string,
  before: Transcript | undefined,
): readonly number[] {
  // The template writes the special tokens itself.
  const ids = tokenizer.encode(prompt, { addSpecial: false, parseSpecial: true });
  if (!before) return ids;
  const [known, wanted] = [before.text, prompt].map((text) => new TextEncoder().encode(text));
  const common = commonLength(known, wanted);
  const places = tokenPlaces(tokenizer, ids, wanted);
  for (const [offset, index] of tokenPlaces(tokenizer, before.ids, known)) {
    const place = offset <= common ? places.get(offset) : undefined;
    if (place !== undefined) return [...before.ids.slice(0, index), ...ids.slice(place)];
  }
  return ids;
}

/** A prompt and its answer; nothing where the tokens of the answer are not just its text, as after a stop text. */
export function transcript(
  tokenizer: Tokenizer,
  prompt: Transcript,
  answer: Transcript,
): Transcript | undefined {
  const places = tokenPlaces(tokenizer, answer.ids, new TextEncoder().encode(answer.text));
  if (places.get(0) !== 0) return undefined;
  return { ids: [...prompt.ids, ...answer.ids], text: prompt.text + answer.text };
}

/**
 * Where tokens begin in their text, by offsets in bytes, the last first: as far back as they are the text, for the first
 * one may have a space that the text has not.
 */
function tokenPlaces(tokenizer: Tokenizer, ids: readonly number[], text: Uint8Array): Map<number, number> {
  let offset = text.length;
  const places = new Map([[offset, ids.length]]);
  for (let index = ids.length - 1; index >= 0; index--) {
    const piece = tokenizer.bytes(ids[index]);
    const start = offset - piece.length;
    if (start < 0 || piece.some((byte, i) => byte !== text[start + i])) break;
    offset = start;
    places.set(offset, index);
  }
  return places;
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
