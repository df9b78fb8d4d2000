/**
 * The tokenizer of a model: a vocabulary for decoding, an encoder made when it is wanted, a chat template.
 *
 * @module
 */

import { InvalidArgumentError, LLMForgeError, TokenizerError } from "../errors.ts";
import { type ChatMessage, ChatTemplate, type ChatTemplateOptions } from "./chat_template.ts";
import type { Encode } from "./encoder.ts";
import type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer, TokenPair } from "./tokenizer.ts";
import { decodeTokens, readableBytes, Utf8Stream } from "./utf8.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Special tokens that end generation by their name: models often leave them out of their metadata. */
const END_OF_TURN: ReadonlySet<string> = new Set([
  "<|im_end|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|end|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<end_of_turn>",
  "<end_of_utterance>",
  "<|return|>",
  "<|call|>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "<\uff5cend\u2581of\u2581sentence\uff5c>",
]);

/** Whether a special token with this text ends generation. */
export function endsTurn(text: string): boolean {
  return END_OF_TURN.has(text);
}

/** What makes a {@linkcode ModelTokenizer}. */
export interface ModelTokenizerDefinition {
  /** Tokens and their bytes. */
  readonly vocabulary: Vocabulary;
  /** Beginning of sequence. */
  readonly bosId?: number;
  /** Ids that end generation. */
  readonly eosIds: readonly number[];
  /** Source of the chat template. */
  readonly chatTemplate?: string;
  /** Texts of special tokens that templates ask for: `bos_token`, `eos_token` and the like. */
  readonly templateVariables: Readonly<Record<string, unknown>>;
  /** Makes the encoder; called once. */
  readonly createEncoder: () => Promise<Encode>;
}

/** A tokenizer that came with a model. */
export class ModelTokenizer implements Tokenizer {
  readonly #definition: ModelTokenizerDefinition;
  readonly #template?: ChatTemplate;
  #encode?: Encode;
  #preparing?: Promise<void>;

  /** Wraps a definition; nothing is built yet. */
  constructor(definition: ModelTokenizerDefinition) {
    this.#definition = definition;
    if (definition.chatTemplate !== undefined) this.#template = new ChatTemplate(definition.chatTemplate);
  }

  /** Number of ids. */
  get vocabSize(): number {
    return this.#definition.vocabulary.size;
  }

  /** Beginning of sequence. */
  get bosId(): number | undefined {
    return this.#definition.bosId;
  }

  /** Ids that end generation. */
  get eosIds(): readonly number[] {
    return this.#definition.eosIds;
  }

  /** Source of the chat template. */
  get chatTemplate(): string | undefined {
    return this.#definition.chatTemplate;
  }

  /** Builds the encoder. */
  prepare(): Promise<void> {
    return this.#preparing ??= this.#prepare();
  }

  async #prepare(): Promise<void> {
    try {
      this.#encode = await this.#definition.createEncoder();
    } catch (cause) {
      this.#preparing = undefined;
      if (cause instanceof LLMForgeError) throw cause;
      throw new TokenizerError(
        `the tokenizer cannot be built: ${messageOf(cause)}; convert the model again`,
        { cause },
      );
    }
  }

  /** The ids of `text`. */
  encode(text: string, options?: EncodeOptions): number[] {
    if (!this.#encode) {
      throw new TokenizerError("the tokenizer is not prepared; await tokenizer.prepare() first");
    }
    return this.#encode(text, options);
  }

  /** The ids of two texts, and which of them each is of. */
  encodePair(first: string, second: string): TokenPair {
    if (!this.#encode?.pair) {
      throw new TokenizerError(
        "the tokenizer cannot encode pairs, or is not prepared; await tokenizer.prepare()",
      );
    }
    return this.#encode.pair(first, second);
  }

  /** The text of `ids`. */
  decode(ids: readonly number[], options?: DecodeOptions): string {
    for (const id of ids) checkId(id);
    return decodeTokens(this.#definition.vocabulary, ids, options);
  }

  /** One token to look at. */
  piece(id: number): string {
    return readableBytes(this.bytes(id));
  }

  /** The bytes of a token. */
  bytes(id: number): Uint8Array {
    checkId(id);
    return this.#definition.vocabulary.bytes(id);
  }

  /** Whether the token is special. */
  isSpecial(id: number): boolean {
    return this.#definition.vocabulary.isSpecial(id);
  }

  /** Decodes ids one by one. */
  stream(options?: DecodeOptions): StreamDecoder {
    return new Utf8Stream(this.#definition.vocabulary, options);
  }

  /** The prompt for a conversation. */
  // deno-lint-ignore require-await -- a missing template rejects, as every other failure does
  async applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): Promise<string> {
    if (!this.#template) {
      throw new TokenizerError("the model has no chat template; give it a plain prompt (generate, or --raw)");
    }
    return this.#template.render(messages, this.#definition.templateVariables, options);
  }
}

function checkId(id: number): void {
  if (!Number.isInteger(id) || id < 0) {
    throw new InvalidArgumentError(`a token id must be a whole number from 0, got ${id}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
