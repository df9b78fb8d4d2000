/**
 * Bytes of tokens to text: tokens end anywhere, text has whole characters only.
 *
 * @module
 */

import type { DecodeOptions, StreamDecoder } from "./tokenizer.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** What {@linkcode Utf8Stream} asks a vocabulary. */
export interface TokenBytes {
  /** Text begins with a space that the encoder added, and decoding takes it away. */
  readonly stripLeadingSpace: boolean;
  /** The bytes of a token. */
  bytes(id: number): Uint8Array;
  /** Whether the token is left out by default. */
  isSpecial(id: number): boolean;
}

/** Decodes token by token and holds bytes back until their character is whole. */
export class Utf8Stream implements StreamDecoder {
  readonly #tokens: TokenBytes;
  readonly #skipSpecial: boolean;
  // A byte order mark is text like any other here.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #stripSpace: boolean;

  /** Starts a text. */
  constructor(tokens: TokenBytes, { skipSpecial = true, continuation = false }: DecodeOptions = {}) {
    this.#tokens = tokens;
    this.#skipSpecial = skipSpecial;
    this.#stripSpace = tokens.stripLeadingSpace && !continuation;
  }

  /** Text that is complete with this token. */
  push(id: number): string {
    if (this.#skipSpecial && this.#tokens.isSpecial(id)) return "";
    return this.#stripped(this.#decoder.decode(this.#tokens.bytes(id), { stream: true }));
  }

  /** The end of the text. */
  flush(): string {
    return this.#stripped(this.#decoder.decode());
  }

  #stripped(text: string): string {
    if (!this.#stripSpace || text === "") return text;
    this.#stripSpace = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  }
}

/** The text of `ids`, all at once. */
export function decodeTokens(tokens: TokenBytes, ids: readonly number[], options?: DecodeOptions): string {
  const stream = new Utf8Stream(tokens, options);
  let text = "";
  for (const id of ids) text += stream.push(id);
  return text + stream.flush();
}

/** `bytes` as text, with each byte that belongs to no whole character written as `<0xE2>`. */
export function readableBytes(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = characterLength(bytes[at]);
    const character = decodeStrict(bytes.subarray(at, at + length));
    text += character ?? `<0x${bytes[at].toString(16).toUpperCase().padStart(2, "0")}>`;
    at += character === undefined ? 1 : length;
  }
  return text;
}

function characterLength(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

function decodeStrict(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
