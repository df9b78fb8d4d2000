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

/** The tokens of a rendered conversation, which go on from those of `before` where its text does. */
export function promptIds(
  tokenizer: Tokenizer,
  prompt: string,
  before: Transcript | undefined,
): readonly number[] {
  // The template writes the special tokens itself.
  const ids = tokenizer.encode(prompt, { addSpecial: false, parseSpecial: true });
  if (!before || !prompt.startsWith(before.text)) return ids;
  const start = tailStart(tokenizer, ids, prompt.slice(before.text.length));
  return start === undefined ? ids : [...before.ids, ...ids.slice(start)];
}

/** A prompt and its answer; nothing where the tokens of the answer are not just its text, as after a stop text. */
export function transcript(
  tokenizer: Tokenizer,
  prompt: Transcript,
  answer: Transcript,
): Transcript | undefined {
  if (tailStart(tokenizer, answer.ids, answer.text) !== 0) return undefined;
  return { ids: [...prompt.ids, ...answer.ids], text: prompt.text + answer.text };
}

/** Where the tokens begin that end a text with `tail`; nothing where that is inside of a token. */
function tailStart(tokenizer: Tokenizer, ids: readonly number[], tail: string): number | undefined {
  const bytes = new TextEncoder().encode(tail);
  let [start, left] = [ids.length, bytes.length];
  while (left > 0 && start > 0) {
    const piece = tokenizer.bytes(ids[--start]);
    left -= piece.length;
    if (left < 0 || piece.some((byte, i) => byte !== bytes[left + i])) return undefined;
  }
  return left === 0 ? start : undefined;
}
