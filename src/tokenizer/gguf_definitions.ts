/**
 * The vocabularies of encoders in GGUF files, WordPiece and Unigram, put as the `tokenizer.json` that they came from.
 *
 * @module
 */
import { TokenizerError } from "../errors.ts";
import type { Component, TokenizerDefinition } from "./definition.ts";
import type { AddedToken } from "./encoder.ts";
import type { DecodedFields } from "./gguf_fields.ts";
import { SENTENCE_PIECE_SPACE } from "./vocabulary.ts";

/** A definition from the fields of a file and the tokens that are found before anything else. */
export type GgufDefinition = (
  fields: DecodedFields,
  added: readonly AddedToken[],
) => TokenizerDefinition;

/** Definitions by `tokenizer.ggml.model`. */
export const GGUF_DEFINITIONS: Readonly<Record<string, GgufDefinition>> = {
  bert: wordPiece,
  t5: unigram,
};

/**
 * WordPiece. Files mark the begin of a word where `tokenizer.json` marks all that is none. Whether texts are put in lower
 * case they do not say: they are where no token has a capital letter, so that none could match one.
 */
function wordPiece(
  { tokens, unknownId, clsId, separatorId }: DecodedFields,
  added: readonly AddedToken[],
) {
  const whole = new Set(added.map(({ id }) => id));
  // Fillers such as [PAD100] are no words.
  const isWord = (token: string, id: number): boolean => !whole.has(id) && !/^▁?\[.*\]$/.test(token);
  const lowercase = !tokens.some((token, id) => isWord(token, id) && /[A-Z]/.test(token));
  // No prototype, for tokens such as "__proto__".
  const vocab: Record<string, number> = Object.create(null);
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id];
    const begins = token.startsWith(SENTENCE_PIECE_SPACE);
    vocab[begins || whole.has(id) ? unmarked(token) : `##${token}`] = id;
  }
  return {
    added_tokens: added.map((token) => ({ ...token, content: unmarked(token.content) })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      vocab,
      unk_token: unknownId === undefined ? "[UNK]" : tokens[unknownId],
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
    },
    post_processor: template(tokens, [clsId], [separatorId], [[separatorId], 1]),
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  };
}

/** A token without the mark of a word's begin, which tokens of the model's makers have too. */
function unmarked(token: string): string {
  return token.startsWith(SENTENCE_PIECE_SPACE) ? token.slice(1) : token;
}

/** Unigram: the likeliest way to cut a text, by the scores of tokens. */
function unigram(fields: DecodedFields, added: readonly AddedToken[]): TokenizerDefinition {
  const { tokens, scores, unknownId, bosId, endIds, addBos, addEos, charsmap } = fields;
  const { addSpacePrefix = true, mergeSpaces = true } = fields;
  if (!scores) {
    throw new TokenizerError("the file has no tokenizer.ggml.scores; convert the model to GGUF again");
  }
  const spaces = { type: "Metaspace", replacement: SENTENCE_PIECE_SPACE };
  const scheme = { prepend_scheme: addSpacePrefix ? "always" : "never" };
  const begin = addBos && bosId !== undefined ? [bosId] : [];
  const end = (addEos ?? true) && endIds.length > 0 ? [endIds[0]] : [];
  return {
    added_tokens: added,
    normalizer: charsmap ? { type: "Precompiled", precompiled_charsmap: base64(charsmap) } : null,
    pre_tokenizer: mergeSpaces
      ? { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, { ...spaces, ...scheme }] }
      : { ...spaces, ...scheme },
    model: {
      type: "Unigram",
      unk_id: unknownId ?? 0,
      vocab: Array.from(tokens, (token, id): [string, number] => [token, scores[id]]),
    },
    // XLM-RoBERTa, which has a begin, puts a second end between two texts.
    post_processor: template(tokens, begin, end, [end, 0], begin.length > 0 ? end : []),
    decoder: { ...spaces, ...scheme },
  };
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Tokens around one text, and around two: `before A after between B pairEnd`. */
function template(
  tokens: ArrayLike<string>,
  before: readonly (number | undefined)[],
  after: readonly (number | undefined)[],
  [pairEnd, secondType]: readonly [readonly (number | undefined)[], number],
  between: readonly (number | undefined)[] = [],
): Component {
  const known = [...before, ...after].filter((id) => id !== undefined);
  const specials = (ids: readonly (number | undefined)[], type_id: number): unknown[] =>
    ids.filter((id) => id !== undefined).map((id) => ({ SpecialToken: { id: tokens[id], type_id } }));
  const text = (id: string, type_id: number): unknown => ({ Sequence: { id, type_id } });
  const single = [...specials(before, 0), text("A", 0), ...specials(after, 0)];
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, ...specials(between, 0), text("B", secondType), ...specials(pairEnd, secondType)],
    special_tokens: Object.fromEntries(
      known.map((id) => [tokens[id], { id: tokens[id], ids: [id], tokens: [tokens[id]] }]),
    ),
  };
}
