/**
 * The vocabulary of a `tokenizer.json` as GGUF metadata, as llama.cpp reads it.
 *
 * @module
 */
import { TokenizerError } from "../errors.ts";
import { isObject } from "../formats/json.ts";
import { type Component, prependScheme, type TokenizerDefinition } from "../tokenizer/definition.ts";
import { TOKEN_TYPE } from "../tokenizer/gguf_fields.ts";
import { GPT2_WORDS, PRE_TOKENIZERS } from "../tokenizer/pre_tokenizers.ts";
import { SENTENCE_PIECE_SPACE } from "../tokenizer/vocabulary.ts";
import type { GgufFields } from "./gguf_config.ts";

/** What every vocabulary has: tokens by id, and their kinds. */
interface Tokens {
  readonly tokens: readonly (string | undefined)[];
  readonly types: readonly number[];
}

/** The keys of a vocabulary, by the type of its model. */
const KINDS: Readonly<Record<string, (definition: TokenizerDefinition, found: Tokens) => GgufFields>> = {
  BPE: pairs,
  WordPiece: wordPieces,
  Unigram: unigram,
};

/** The vocabulary of a `tokenizer.json`, for an embedding of `size` tokens; none where GGUF has no such kind. */
export function vocabularyFields(definition: TokenizerDefinition, size: number): GgufFields {
  const { type = "BPE" } = definition.model;
  if (!Object.hasOwn(KINDS, type)) return { "tokenizer.ggml.model": "none" };
  const tokens = tokensById(definition, size);
  return KINDS[type](definition, { tokens, types: tokenTypes(definition, tokens) });
}

function listFields({ tokens, types }: Tokens): GgufFields {
  return {
    "tokenizer.ggml.tokens": { of: "string", values: tokens.map((token, id) => token ?? `[UNUSED${id}]`) },
    "tokenizer.ggml.token_type": { of: "i32", values: types },
  };
}

/** WordPiece: the begin of a word is marked, in place of all that is none. */
function wordPieces(definition: TokenizerDefinition, { tokens, types }: Tokens): GgufFields {
  const prefix = String(definition.model.continuing_subword_prefix ?? "##");
  const marked = tokens.map((token, id) => {
    if (token === undefined || types[id] === TOKEN_TYPE.control) return token;
    return token.startsWith(prefix) ? token.slice(prefix.length) : SENTENCE_PIECE_SPACE + token;
  });
  return {
    "tokenizer.ggml.model": "bert",
    "tokenizer.ggml.pre": "default",
    ...listFields({ tokens: marked, types }),
  };
}

/** Unigram: tokens with the logarithms of their probabilities. */
function unigram(definition: TokenizerDefinition, found: Tokens): GgufFields {
  const { vocab } = definition.model;
  const normalizers = steps(definition.normalizer, "normalizers");
  const charsmap = normalizers.find(({ type }) => type === "Precompiled")?.precompiled_charsmap;
  const scores = found.tokens.map((_, id) => Array.isArray(vocab) ? vocab[id]?.[1] ?? 0 : 0);
  return {
    "tokenizer.ggml.model": "t5",
    "tokenizer.ggml.pre": "default",
    ...listFields(found),
    "tokenizer.ggml.scores": { of: "f32", values: scores },
    "tokenizer.ggml.add_space_prefix": prependsSpace(definition),
    "tokenizer.ggml.remove_extra_whitespaces": mergesSpaces(definition),
    ...(typeof charsmap === "string"
      ? { "tokenizer.ggml.precompiled_charsmap": { of: "u8", values: Array.from(decodeBase64(charsmap)) } }
      : {}),
  };
}

function decodeBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new TokenizerError(
      "tokenizer.json has a precompiled_charsmap that is not in base64; download it again",
      { cause },
    );
  }
}

/** White space counts only as the end of a word. */
function mergesSpaces({ normalizer, pre_tokenizer }: TokenizerDefinition): boolean {
  return steps(pre_tokenizer, "pretokenizers").some(({ type }) => type === "WhitespaceSplit") ||
    steps(normalizer, "normalizers").some(({ type, pattern }) =>
      type === "Replace" && isObject(pattern) && pattern.Regex === " {2,}"
    );
}

/** Byte pairs: of bytes in GPT-2's alphabet, or of characters as SentencePiece has them. */
function pairs(definition: TokenizerDefinition, found: Tokens): GgufFields {
  const { model } = definition;
  const { tokens } = found;
  const common = listFields(found);
  const merges = (model.merges ?? []).map((merge) => typeof merge === "string" ? merge : merge.join(" "));
  if (!isByteLevel(definition.pre_tokenizer) && model.byte_fallback === true) {
    return {
      "tokenizer.ggml.model": "llama",
      ...common,
      "tokenizer.ggml.scores": { of: "f32", values: scores(tokens, merges) },
      "tokenizer.ggml.add_space_prefix": prependsSpace(definition),
    };
  }
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": preTokenizerName(definition),
    ...common,
    "tokenizer.ggml.merges": { of: "string", values: merges },
  };
}

function tokensById(
  { model: { vocab }, added_tokens = [] }: TokenizerDefinition,
  size: number,
): (string | undefined)[] {
  const tokens: (string | undefined)[] = new Array(size).fill(undefined);
  const entries = Array.isArray(vocab)
    ? vocab.map(([token], id) => [token, id] as const)
    : Object.entries(vocab as Readonly<Record<string, number>>);
  // Ids beyond the embedding have no row there, so no model can see them.
  for (const [token, id] of entries) if (id < size) tokens[id] = token;
  for (const { id, content } of added_tokens) if (id < size) tokens[id] = content;
  return tokens;
}

function tokenTypes(
  { model, added_tokens = [] }: TokenizerDefinition,
  tokens: readonly (string | undefined)[],
): number[] {
  const added = new Map(added_tokens.map(({ id, special }) => [id, special]));
  return tokens.map((token, id) => {
    if (token === undefined) return TOKEN_TYPE.unused;
    if (id === model.unk_id || (token === model.unk_token && model.byte_fallback === true)) {
      return TOKEN_TYPE.unknown;
    }
    if (added.has(id)) return added.get(id) ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined;
    return model.byte_fallback === true && /^<0x[0-9A-F]{2}>$/.test(token)
      ? TOKEN_TYPE.byte
      : TOKEN_TYPE.normal;
  });
}

/** SentencePiece merges the pair whose token has the highest score: the earlier its merge, the higher. */
function scores(tokens: readonly (string | undefined)[], merges: readonly string[]): number[] {
  const rank = new Map<string, number>();
  merges.forEach((merge, i) => {
    const token = merge.replace(" ", "");
    if (!rank.has(token)) rank.set(token, i + 1);
  });
  return tokens.map((token) => -(rank.get(token ?? "") ?? 0));
}

function prependsSpace({ normalizer, pre_tokenizer }: TokenizerDefinition): boolean {
  const all = [...steps(normalizer, "normalizers"), ...steps(pre_tokenizer, "pretokenizers")];
  return all.some((step) =>
    step.type === "Prepend" || (step.type === "Metaspace" && prependScheme(step) !== "never")
  );
}

function isByteLevel(component: Component | null | undefined): boolean {
  return steps(component, "pretokenizers").some(({ type }) => type === "ByteLevel");
}

/** The steps of a sequence, or the one that there is. */
export function steps(component: unknown, list: string): readonly Component[] {
  if (!isObject(component)) return [];
  const found = component[list];
  return Array.isArray(found) ? found.flatMap((step) => steps(step, list)) : [component as Component];
}

/** llama.cpp's name of the cuts that a tokenizer makes; `default` where it has none for them. */
function preTokenizerName({ pre_tokenizer, model }: TokenizerDefinition): string {
  const patterns = steps(pre_tokenizer, "pretokenizers").flatMap((step): string[] => {
    if (step.type === "Digits") return [step.individual_digits ? String.raw`\p{N}` : String.raw`\p{N}+`];
    if (step.type === "ByteLevel") return step.use_regex === false ? [] : [GPT2_WORDS];
    const regex = isObject(step.pattern) ? step.pattern.Regex ?? step.pattern.String : undefined;
    return [typeof regex === "string" ? regex : `(${step.type})`];
  });
  const matches = PRE_TOKENIZERS.filter((known) => known.patterns.join("\0") === patterns.join("\0"));
  const ignoreMerges = model.ignore_merges === true;
  const best = matches.find((known) => (known.ignoreMerges ?? false) === ignoreMerges) ?? matches[0];
  return best?.names[0] ?? "default";
}
