/**
 * The tokenizer for models without one: a byte is a token.
 *
 * @module
 */

import { InvalidArgumentError, TokenizerError } from "../errors.ts";
import type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer } from "./tokenizer.ts";
import { decodeTokens, readableBytes, type TokenBytes, utf8, Utf8Stream } from "./utf8.ts";

/** Options of {@linkcode NaiveTokenizer}. */
export interface NaiveTokenizerOptions {
  /** Have a beginning-of-sequence token and put it before every text. Default: `false`. */
  bos?: boolean;
  /** Have an end-of-sequence token. Default: `false`. */
  eos?: boolean;
}

const BYTES = 256;

/**
 * UTF-8 bytes are the ids 0 to 255; BOS and EOS, where wanted, come after them. Needs no file and no library.
 *
 * @example
 * ```ts
 * import { NaiveTokenizer } from "./naive.ts";
 * const tokenizer = new NaiveTokenizer({ bos: true });
 * tokenizer.encode("Hi"); // [256, 72, 105]
 * tokenizer.decode([72, 105]); // "Hi"
 * ```
 */
export class NaiveTokenizer implements Tokenizer, TokenBytes {
  /** Number of ids. */
  readonly vocabSize: number;
  /** Beginning of sequence, where wanted. */
  readonly bosId?: number;
  /** End of sequence, where wanted. */
  readonly eosIds: readonly number[];
  /** Text is what its bytes say. */
  readonly stripLeadingSpace = false;
  readonly #special = new Map<number, string>();

  /** Makes the tokenizer. */
  constructor({ bos = false, eos = false }: NaiveTokenizerOptions = {}) {
    if (bos) this.#special.set(this.bosId = BYTES, "<s>");
    const eosId = BYTES + this.#special.size;
    if (eos) this.#special.set(eosId, "</s>");
    this.eosIds = eos ? [eosId] : [];
    this.vocabSize = BYTES + this.#special.size;
  }

  /** There is nothing to build. */
  prepare(): Promise<void> {
    return Promise.resolve();
  }

  /** The bytes of `text`. */
  encode(text: string, { addSpecial = true, parseSpecial = false }: EncodeOptions = {}): number[] {
    const ids = addSpecial && this.bosId !== undefined ? [this.bosId] : [];
    for (const part of parseSpecial ? text.split(/(<s>|<\/s>)/) : [text]) {
      const special = this.#special.entries().find(([, name]) => parseSpecial && name === part);
      if (special) ids.push(special[0]);
      else for (const byte of utf8(part)) ids.push(byte);
    }
    return ids;
  }

  /** The text of `ids`. */
  decode(ids: readonly number[], options?: DecodeOptions): string {
    return decodeTokens(this, ids, options);
  }

  /** One token to look at. */
  piece(id: number): string {
    return readableBytes(this.bytes(id));
  }

  /** The byte itself; a special token gives its text's. */
  bytes(id: number): Uint8Array {
    if (!Number.isInteger(id) || id < 0) {
      throw new InvalidArgumentError(`a token id must be a whole number from 0, got ${id}`);
    }
    return id < BYTES ? Uint8Array.of(id) : utf8(this.#special.get(id) ?? "");
  }

  /** Whether the token is BOS or EOS. */
  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  /** Decodes ids one by one. */
  stream(options?: DecodeOptions): StreamDecoder {
    return new Utf8Stream(this, options);
  }

  /** Bytes have no template: always rejects. */
  applyChatTemplate(): Promise<string> {
    return Promise.reject(
      new TokenizerError("a model of bytes has no chat template; give it a plain prompt"),
    );
  }
}
