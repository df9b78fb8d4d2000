/**
 * A vocabulary as decoding sees it: what bytes each token stands for.
 *
 * @module
 */

import { type TokenBytes, utf8 } from "./utf8.ts";

/** How the tokens of a vocabulary spell bytes. */
export interface Spelling {
  /** The bytes that a token of this vocabulary stands for. */
  readonly bytes: (token: string) => Uint8Array;
  /** Encoding puts a space before the text, so decoding takes it away. */
  readonly stripLeadingSpace: boolean;
}

/** What makes a {@linkcode Vocabulary}. */
export interface VocabularyDefinition {
  /** Number of ids. */
  readonly size: number;
  /** The token as the file spells it; `undefined` for a hole. */
  readonly token: (id: number) => string | undefined;
  /** Ids of special (control) tokens. */
  readonly special: ReadonlySet<number>;
  /** Ids of tokens whose spelling is plain text, special ones included. */
  readonly literal: ReadonlySet<number>;
  /** How all other tokens are spelled. */
  readonly spelling: Spelling;
}

const NOTHING = new Uint8Array(0);

/** The tokens of a model and their bytes; tokens are looked up when they are asked for, none before. */
export class Vocabulary implements TokenBytes {
  readonly #definition: VocabularyDefinition;

  /** Wraps a definition. */
  constructor(definition: VocabularyDefinition) {
    this.#definition = definition;
  }

  /** Number of ids. */
  get size(): number {
    return this.#definition.size;
  }

  /** Whether decoding takes one leading space away. */
  get stripLeadingSpace(): boolean {
    return this.#definition.spelling.stripLeadingSpace;
  }

  /** The bytes of a token; none for an id without a token. */
  bytes(id: number): Uint8Array {
    const { token, literal, spelling } = this.#definition;
    const text = token(id);
    if (text === undefined) return NOTHING;
    return literal.has(id) ? utf8(text) : spelling.bytes(text);
  }

  /** Whether the token is special. */
  isSpecial(id: number): boolean {
    return this.#definition.special.has(id);
  }
}

/**
 * GPT-2's alphabet: printable Latin-1 characters stand for their own byte, the other 68 bytes for U+0100 and on.
 * Index: character code; value: byte, or -1.
 */
const BYTE_OF_CHARACTER: Int16Array = (() => {
  const table = new Int16Array(256 + 68).fill(-1);
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    table[printable ? byte : next++] = byte;
  }
  return table;
})();

/** Byte-level BPE: each character of a token is one byte, in GPT-2's alphabet. */
export const byteLevelSpelling: Spelling = {
  stripLeadingSpace: false,
  bytes(token) {
    const bytes: number[] = [];
    for (const character of token) {
      const byte = BYTE_OF_CHARACTER[character.codePointAt(0) ?? 0] ?? -1;
      // Damaged vocabularies hold characters outside the alphabet; they can only stand for themselves.
      if (byte >= 0) bytes.push(byte);
      else bytes.push(...utf8(character));
    }
    return Uint8Array.from(bytes);
  },
};

/** The space of SentencePiece vocabularies, U+2581. */
export const SENTENCE_PIECE_SPACE = "\u2581";

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** SentencePiece: `▁` is a space, `<0xE2>` is that byte, everything else is text. */
export function sentencePieceSpelling(
  options: { stripLeadingSpace: boolean; byteFallback: boolean },
): Spelling {
  return {
    stripLeadingSpace: options.stripLeadingSpace,
    bytes(token) {
      const byte = options.byteFallback ? BYTE_TOKEN.exec(token) : null;
      if (byte) return Uint8Array.of(parseInt(byte[1], 16));
      return utf8(token.replaceAll(SENTENCE_PIECE_SPACE, " "));
    },
  };
}

/** WordPiece: a token without the prefix (`##`) begins a word, so a space stands before it. */
export function wordPieceSpelling(prefix: string, cleanUp: boolean): Spelling {
  // No space before punctuation, as the reference decoder has it.
  const attached = /^(?:[.?!,]|n't|'m|'s|'ve|'re)$/;
  return {
    stripLeadingSpace: true,
    bytes(token) {
      if (prefix !== "" && token.startsWith(prefix)) return utf8(token.slice(prefix.length));
      return utf8(cleanUp && attached.test(token) ? token : ` ${token}`);
    },
  };
}

/** Tokens are their own text. */
export const plainSpelling: Spelling = { stripLeadingSpace: false, bytes: utf8 };
