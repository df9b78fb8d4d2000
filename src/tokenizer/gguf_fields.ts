/**
 * The `tokenizer.*` metadata of a GGUF file, checked and named.
 *
 * @module
 */

import { TokenizerError } from "../errors.ts";

/** Kinds of tokens, GGUF's `tokenizer.ggml.token_type`. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Strings that may be decoded one by one (`at`) or, which is faster for many, all at once (by iterating). */
export interface StringList extends Iterable<string> {
  /** How many there are. */
  readonly length: number;
  /** One of them. */
  at(index: number): string | undefined;
}

/** The metadata that a tokenizer is made of; ids outside the vocabulary are left out, as llama.cpp does. */
export interface GgufTokenizerFields {
  /** Kind of vocabulary: `gpt2`, `llama` and others. */
  readonly model: string;
  /** Name of the pre-tokenizer. */
  readonly pre: string;
  /** Tokens by id. */
  readonly tokens: StringList;
  /** {@linkcode TOKEN_TYPE} by id. */
  readonly types?: ArrayLike<number>;
  /** Scores by id; the best merges first. */
  readonly scores?: ArrayLike<number>;
  /** Merges, `left right`, in order of rank; a function, because files decode them when they are first asked for. */
  readonly merges: () => StringList;
  /** Put BOS before a text. */
  readonly addBos?: boolean;
  /** Put EOS after a text. */
  readonly addEos?: boolean;
  /** Put a space before the first word. */
  readonly addSpacePrefix?: boolean;
  /** Spaces count only as the end of a word. */
  readonly mergeSpaces?: boolean;
  /** SentencePiece's table of characters that are written otherwise, as its model files have it. */
  readonly charsmap?: Uint8Array;
  /** Beginning of sequence. */
  readonly bosId?: number;
  /** End of sequence, of turn, of message: those there are. */
  readonly endIds: readonly number[];
  /** Unknown token. */
  readonly unknownId?: number;
  /** Padding. */
  readonly paddingId?: number;
  /** Begin of a text, in vocabularies of encoders. */
  readonly clsId?: number;
  /** End of a text, in vocabularies of encoders. */
  readonly separatorId?: number;
  /** Stands for a word to be guessed. */
  readonly maskId?: number;
  /** Jinja source. */
  readonly chatTemplate?: string;
}

/** The fields, with all tokens decoded. */
export type DecodedFields = Omit<GgufTokenizerFields, "tokens"> & { readonly tokens: readonly string[] };

/**
 * Reads the fields; lists of strings are taken from `packed` where they are there, so that they are not decoded yet.
 * Throws a `TokenizerError` that names the key which is missing or of the wrong kind.
 */
export function ggufTokenizerFields(
  metadata: Readonly<Record<string, unknown>>,
  packed?: ReadonlyMap<string, StringList>,
): GgufTokenizerFields {
  const read = <T>(key: string, what: string, check: (value: unknown) => value is T): T | undefined => {
    const value = packed?.get(`tokenizer.${key}`) ?? metadata[`tokenizer.${key}`];
    if (value === undefined || check(value)) return value;
    throw new TokenizerError(`tokenizer.${key} must be ${what}; convert the model to GGUF again`);
  };
  const need = <T>(key: string, what: string, check: (value: unknown) => value is T): T => {
    const value = read(key, what, check);
    if (value !== undefined) return value;
    throw new TokenizerError(
      `the file has no tokenizer.${key}; give token ids, or convert the model to GGUF again`,
    );
  };
  const tokens = need("ggml.tokens", "an array of strings", isStringList);
  const perToken = (key: string) => {
    const list = read(`ggml.${key}`, "an array of numbers", isNumberList);
    if (list === undefined || list.length >= tokens.length) return list;
    throw new TokenizerError(
      `tokenizer.ggml.${key} has ${list.length} entries for ${tokens.length} tokens; convert the model to GGUF again`,
    );
  };
  const id = (key: string) => {
    const value = read(`ggml.${key}_token_id`, "a token id", isInteger);
    return value !== undefined && value >= 0 && value < tokens.length ? Number(value) : undefined;
  };
  return {
    model: need("ggml.model", "a string", isString),
    pre: read("ggml.pre", "a string", isString) ?? "default",
    tokens,
    types: perToken("token_type"),
    scores: perToken("scores"),
    merges: () => need("ggml.merges", "an array of strings", isStringList),
    addBos: read("ggml.add_bos_token", "true or false", isBoolean),
    addEos: read("ggml.add_eos_token", "true or false", isBoolean),
    addSpacePrefix: read("ggml.add_space_prefix", "true or false", isBoolean),
    mergeSpaces: read("ggml.remove_extra_whitespaces", "true or false", isBoolean),
    charsmap: read("ggml.precompiled_charsmap", "an array of bytes", isBytes),
    bosId: id("bos"),
    endIds: ["eos", "eot", "eom"].map(id).filter((end) => end !== undefined),
    unknownId: id("unknown"),
    paddingId: id("padding"),
    clsId: id("cls") ?? id("bos"),
    // The key is spelled like this.
    separatorId: id("seperator") ?? id("eos"),
    maskId: id("mask"),
    chatTemplate: read("chat_template", "a string", isString),
  };
}

function isStringList(value: unknown): value is StringList {
  return isList(value) && typeof (value as StringList).at === "function";
}

function isNumberList(value: unknown): value is ArrayLike<number> {
  return isList(value);
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

function isList(value: unknown): value is { length: number } {
  return typeof value === "object" && value !== null && "length" in value;
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isInteger(value: unknown): value is number | bigint {
  return Number.isInteger(value) || typeof value === "bigint";
}
