/**
 * Tokenizers of models in Hugging Face's layout, from `tokenizer.json` and `tokenizer_config.json`.
 *
 * @module
 */

import { TokenizerError } from "../errors.ts";
import { selectChatTemplate } from "./chat_template.ts";
import {
  type ModelComponent,
  repairPostProcessor,
  repairPreTokenizer,
  spellingOf,
  type TokenizerDefinition,
} from "./definition.ts";
import {
  bpeModel,
  createEncoder,
  type Encode,
  forEachSliced,
  type Library,
  type LibraryModel,
} from "./encoder.ts";
import { endsTurn, ModelTokenizer } from "./model_tokenizer.ts";
import { MergeRanks } from "./pair_ranks.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { Vocabulary } from "./vocabulary.ts";
import { wordSplit } from "./word_split.ts";

/** What {@linkcode huggingFaceTokenizer} takes beside `tokenizer.json`. */
export interface HuggingFaceTokenizerOptions {
  /** The parsed `tokenizer_config.json`. */
  config?: Readonly<Record<string, unknown>>;
  /** Template from `chat_template.jinja`, which newer models have; goes before the one in the configuration. */
  chatTemplate?: string;
  /** Further ids that end generation, such as `eos_token_id` of `generation_config.json`. */
  eosIds?: readonly number[];
}

/**
 * The tokenizer that a parsed `tokenizer.json` describes. Decoding works at once; `prepare` builds the encoder.
 *
 * Throws a `TokenizerError` where the definition is damaged or its decoder is not known.
 */
export function huggingFaceTokenizer(
  definition: unknown,
  options: HuggingFaceTokenizerOptions = {},
): Tokenizer {
  try {
    return tokenizerOf(checkDefinition(definition), options);
  } catch (cause) {
    if (cause instanceof TokenizerError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TokenizerError(`tokenizer.json is damaged: ${why}; download it again`, { cause });
  }
}

function tokenizerOf(checked: TokenizerDefinition, options: HuggingFaceTokenizerOptions): Tokenizer {
  const { config = {} } = options;
  const added = checked.added_tokens ?? [];
  const special = added.filter((token) => token.special);
  const tokens = invertedVocabulary(checked);
  const idOf = (text: string | undefined) => text === undefined ? undefined : findId(checked, text);
  const variables = Object.fromEntries(
    ["bos_token", "eos_token", "unk_token", "pad_token"].map((name) => [name, tokenText(config[name])]),
  );
  const ends = [
    idOf(variables.eos_token),
    ...options.eosIds ?? [],
    ...special.filter(({ content }) => endsTurn(content)).map(({ id }) => id),
  ].filter((id) => id !== undefined);
  return new ModelTokenizer({
    vocabulary: new Vocabulary({
      size: tokens.length,
      token: (id) => tokens[id],
      special: new Set(special.map(({ id }) => id)),
      literal: new Set(added.map(({ id }) => id)),
      spelling: spellingOf(checked.decoder),
    }),
    bosId: idOf(variables.bos_token),
    eosIds: [...new Set(ends)],
    chatTemplate: options.chatTemplate ?? selectChatTemplate(config.chat_template),
    templateVariables: Object.fromEntries(
      Object.entries(variables).map(([name, text]) => [name, text ?? ""]),
    ),
    createEncoder: () => huggingFaceEncoder(checked, tokens, config),
  });
}

/** A Hugging Face tokenizer that is ready to encode. */
export async function createHuggingFaceTokenizer(
  definition: unknown,
  options?: HuggingFaceTokenizerOptions,
): Promise<Tokenizer> {
  const tokenizer = huggingFaceTokenizer(definition, options);
  await tokenizer.prepare();
  return tokenizer;
}

function checkDefinition(definition: unknown): TokenizerDefinition {
  const parts = definition as { model?: { vocab?: unknown }; added_tokens?: unknown } | null | undefined;
  const vocab = parts?.model?.vocab;
  if (typeof vocab !== "object" || vocab === null) {
    throw new TokenizerError("tokenizer.json has no model with a vocab; download it again");
  }
  const added: unknown = parts?.added_tokens ?? [];
  if (!Array.isArray(added) || !added.every(isAddedToken)) {
    throw new TokenizerError("tokenizer.json has added_tokens without a text or an id; download it again");
  }
  const ids = Array.isArray(vocab) ? [] : Object.values(vocab);
  if (!ids.every(isId) || (Array.isArray(vocab) && !vocab.every(isScored))) {
    throw new TokenizerError("tokenizer.json has a token without an id or a score; download it again");
  }
  return definition as TokenizerDefinition;
}

/** No vocabulary has more tokens than this; an array of as many ids can still be had. */
const MAX_ID = 2 ** 22;

function isId(value: unknown): value is number {
  return Number.isInteger(value) && value as number >= 0 && value as number < MAX_ID;
}

function isAddedToken(value: unknown): boolean {
  const { id, content } = (value ?? {}) as { id?: unknown; content?: unknown };
  return isId(id) && typeof content === "string";
}

function isScored(entry: unknown): boolean {
  return Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "number";
}

/** Special tokens stand in the configuration as a string or as `{ content }`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

function findId({ added_tokens, model: { vocab } }: TokenizerDefinition, text: string): number | undefined {
  const added = added_tokens?.find(({ content }) => content === text);
  if (added) return added.id;
  if (!isList(vocab)) return Object.hasOwn(vocab, text) ? vocab[text] : undefined;
  const id = vocab.findIndex(([token]) => token === text);
  return id < 0 ? undefined : id;
}

function invertedVocabulary({ added_tokens = [], model: { vocab } }: TokenizerDefinition): string[] {
  const tokens: string[] = [];
  if (isList(vocab)) { for (const [token] of vocab) tokens.push(token); }
  else for (const token in vocab) tokens[vocab[token]] = token;
  for (const { id, content } of added_tokens) tokens[id] = content;
  return tokens;
}

function isList(vocab: ModelComponent["vocab"]): vocab is readonly (readonly [string, number])[] {
  return Array.isArray(vocab);
}

function huggingFaceEncoder(
  definition: TokenizerDefinition,
  tokens: readonly string[],
  config: Readonly<Record<string, unknown>>,
): Promise<Encode> {
  const added = definition.added_tokens ?? [];
  const pipeline = {
    added_tokens: added,
    normalizer: definition.normalizer ?? null,
    pre_tokenizer: preTokenizer(definition, tokens),
    post_processor: repairPostProcessor(definition.post_processor),
  };
  return createEncoder(pipeline, (library) => modelOf(library, definition.model, config), config);
}

/** The definition's pre-tokenizer; a BPE model that would merge whole texts gets words where that is the same. */
function preTokenizer(
  { pre_tokenizer, added_tokens = [], model }: TokenizerDefinition,
  tokens: readonly string[],
) {
  const repaired = repairPreTokenizer(pre_tokenizer);
  if (model.type !== "BPE" || (repaired !== null && repaired.type !== "Metaspace")) return repaired;
  const pretokenizers = [repaired, wordSplit(tokens, added_tokens)].filter((step) => step !== null);
  return pretokenizers.length === 0 ? null : { type: "Sequence", pretokenizers };
}

/** BPE over tables built here, in slices; the library builds the small kinds itself. */
async function modelOf(
  library: Library,
  model: ModelComponent,
  config: Readonly<Record<string, unknown>>,
): Promise<LibraryModel> {
  const { vocab, merges } = model;
  if (model.type !== "BPE" || isList(vocab) || !merges) {
    const shell = {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      decoder: null,
    };
    const built = new library.Tokenizer({ ...shell, model }, config).model;
    if (built) return built;
    throw new TokenizerError(`tokenizer.json has an unusable model of type ${model.type}; use a GGUF file`);
  }
  const ids = new Map<string, number>();
  const tokens = Object.keys(vocab);
  await forEachSliced(tokens.length, (i) => ids.set(tokens[i], vocab[tokens[i]]));
  return bpeModel(library, ids, await mergeRanks(merges), {
    unknown: tokenText(model.unk_token),
    byteFallback: model.byte_fallback === true,
    fuseUnknown: model.fuse_unk === true,
    ignoreMerges: model.ignore_merges === true,
    endOfWordSuffix: tokenText(model.end_of_word_suffix),
  });
}

async function mergeRanks(merges: NonNullable<ModelComponent["merges"]>): Promise<MergeRanks> {
  // Merges are pairs where tokens may have spaces in them; no token has a zero.
  const pairs = typeof merges[0] !== "string";
  const separator = pairs ? "\0" : " ";
  const ranks = new MergeRanks(separator);
  await forEachSliced(merges.length, (i) => {
    const merge = merges[i];
    ranks.append(typeof merge === "string" ? merge : merge[0] + separator + merge[1]);
  });
  return ranks;
}
