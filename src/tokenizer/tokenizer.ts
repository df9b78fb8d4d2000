/**
 * What every tokenizer offers, whichever file it came from.
 *
 * @module
 */

import type { ChatMessage, ChatTemplateOptions } from "./chat_template.ts";

/** Options of {@linkcode Tokenizer.encode}. */
export interface EncodeOptions {
  /** Add what the model wants around a text, such as BOS. Default: `true`. */
  addSpecial?: boolean;
  /**
   * Special tokens written in the text (`<|im_end|>`) count as such; otherwise they are ordinary characters, which is
   * what text from an untrusted source needs. Default: `false`.
   */
  parseSpecial?: boolean;
}

/** Options of {@linkcode Tokenizer.decode} and {@linkcode Tokenizer.stream}. */
export interface DecodeOptions {
  /** Leave special tokens out of the text. Default: `true`. */
  skipSpecial?: boolean;
  /**
   * The ids continue earlier text, so the space that a SentencePiece vocabulary puts before the first word is kept.
   * Default: `false`.
   */
  continuation?: boolean;
}

/** Two texts as tokens. */
export interface TokenPair {
  /** The tokens of both. */
  readonly ids: readonly number[];
  /** The text that each belongs to: 0 or 1. */
  readonly tokenTypes: readonly number[];
}

/** Turns ids into text as they come; see {@linkcode Tokenizer.stream}. */
export interface StreamDecoder {
  /** Text that is complete with this token: whole characters only, `""` while one is unfinished. */
  push(id: number): string;
  /** The end of the text: `""`, or U+FFFD for a character that was never finished. */
  flush(): string;
}

/**
 * Text to token ids and back.
 *
 * Decoding works at once. Encoding needs tables that take milliseconds to build, so {@linkcode prepare} is called
 * first, best while the weights load; the `create…` functions have done so.
 *
 * An id in a hole of the vocabulary or past its end (models pad their embedding) stands for no bytes.
 */
export interface Tokenizer {
  /** Number of ids: one above the highest. */
  readonly vocabSize: number;
  /** Beginning of sequence, where the vocabulary has one. */
  readonly bosId?: number;
  /** All ids that end generation: end of sequence, end of turn. */
  readonly eosIds: readonly number[];
  /** Source of the chat template, where the model has one. */
  readonly chatTemplate?: string;
  /** Builds what {@linkcode encode} needs; calls after the first wait for the same work. */
  prepare(): Promise<void>;
  /** The ids of `text`. Throws a `TokenizerError` before {@linkcode prepare} is done. */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The ids of two texts that belong together, such as query and document, with what the model wants around them; and
   * which text each is of, 0 or 1. Absent where the vocabulary has no way to write pairs.
   */
  encodePair?(first: string, second: string): TokenPair;
  /** The text of `ids`; bytes that are not UTF-8 become U+FFFD. */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** One token to look at, such as `" France"`; bytes that are no character alone are shown as `<0xE2>`. */
  piece(id: number): string;
  /** The UTF-8 bytes that a token stands for, maybe a part of a character; a special token gives its text's. */
  bytes(id: number): Uint8Array;
  /** Whether decoding leaves this token out by default. */
  isSpecial(id: number): boolean;
  /** Decodes ids one by one; the pieces and the flush together equal {@linkcode decode} of all. */
  stream(options?: DecodeOptions): StreamDecoder;
  /**
   * The prompt for a conversation. Encode it with `{ addSpecial: false, parseSpecial: true }`: the template writes BOS
   * itself. Throws a `TokenizerError` where the model has no template or the template rejects the messages.
   */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): Promise<string>;
}
