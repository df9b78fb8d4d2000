/**
 * A `tokenizer.json` as GGUF metadata. The whole file goes along under a key of its own, and counts for readers that
 * know it; the vocabulary is there for llama.cpp.
 *
 * @module
 */
import type { GgufValue } from "../formats/gguf_values.ts";
import type { ModelFile } from "../formats/model_file.ts";
import { isObject, type JsonObject } from "../formats/json.ts";
import { EMBEDDED_TOKENIZER } from "../model_files.ts";
import type { DecoderConfig } from "../models/config.ts";
import { ConfigReader } from "../models/config_reader.ts";
import { selectChatTemplate } from "../tokenizer/chat_template.ts";
import type { Component, TokenizerDefinition } from "../tokenizer/definition.ts";
import { TOKEN_TYPE } from "../tokenizer/gguf_fields.ts";
import { GPT2_WORDS, PRE_TOKENIZERS } from "../tokenizer/pre_tokenizers.ts";
import type { GgufFields } from "./gguf_config.ts";

/** The keys of a model's tokenizer; a file without one says so. */
export async function tokenizerFields(file: ModelFile, config: DecoderConfig): Promise<GgufFields> {
  const json = await file.tokenizerJson?.();
  const settings = await file.tokenizerConfig?.();
  const ids = idFields(file, config, json, isObject(settings) ? settings : {});
  if (!isDefinition(json)) return { "tokenizer.ggml.model": "none", ...ids };
  const template = await file.chatTemplate?.() ??
    selectChatTemplate(isObject(settings) ? settings.chat_template : undefined);
  return {
    ...vocabularyFields(json, config.vocabSize),
    ...ids,
    ...(template === undefined ? {} : { "tokenizer.chat_template": template }),
    [EMBEDDED_TOKENIZER]: JSON.stringify(json),
  };
}

function isDefinition(json: unknown): json is TokenizerDefinition {
  return isObject(json) && isObject(json.model) && typeof json.model.vocab === "object";
}

/** The vocabulary of a `tokenizer.json`, for an embedding of `size` tokens; none where it is not one of BPE. */
export function vocabularyFields(definition: TokenizerDefinition, size: number): Record<string, GgufValue> {
  const { model } = definition;
  // Whoever reads the vocabulary would take it for BPE; the tokenizer.json that goes along says what it is.
  if (model.type !== undefined && model.type !== "BPE") return { "tokenizer.ggml.model": "none" };
  const tokens = tokensById(definition, size);
  const types = tokenTypes(definition, tokens);
  const common = {
    "tokenizer.ggml.tokens": { of: "string", values: tokens.map((token, id) => token ?? `[UNUSED${id}]`) },
    "tokenizer.ggml.token_type": { of: "i32", values: types },
  } as const;
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
    if (token === model.unk_token && model.byte_fallback === true) return TOKEN_TYPE.unknown;
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
  const steps = [...flat(normalizer, "normalizers"), ...flat(pre_tokenizer, "pretokenizers")];
  return steps.some(({ type, prepend_scheme }) =>
    type === "Prepend" || (type === "Metaspace" && prepend_scheme !== "never")
  );
}

function isByteLevel(component: Component | null | undefined): boolean {
  return flat(component, "pretokenizers").some(({ type }) => type === "ByteLevel");
}

/** The steps of a sequence, or the one that there is. */
function flat(component: Component | null | undefined, list: string): readonly Component[] {
  if (!component) return [];
  const steps = component[list];
  return Array.isArray(steps) ? steps.flatMap((step: Component) => flat(step, list)) : [component];
}

/** llama.cpp's name of the cuts that a tokenizer makes; `default` where it has none for them. */
function preTokenizerName({ pre_tokenizer, model }: TokenizerDefinition): string {
  const patterns = flat(pre_tokenizer, "pretokenizers").flatMap((step): string[] => {
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

/** Special ids, and whether texts begin or end with them. */
function idFields(
  { generationConfig }: ModelFile,
  config: DecoderConfig,
  json: unknown,
  settings: JsonObject,
): Record<string, GgufValue> {
  const idOf = (name: string): number | undefined => findId(json, settings[name]);
  const generation = generationConfig ? new ConfigReader(generationConfig).ids("eos_token_id") : [];
  const bos = config.bosId ?? idOf("bos_token");
  const eos = idOf("eos_token") ?? config.eosIds[0] ?? generation[0];
  const turn = [...generation, ...config.eosIds].find((id) => id !== eos);
  const [first, last] = template(json);
  // As the tokenizer.json says: `add_bos_token` of the settings is for tokenizers without one.
  const adds = (id: number | undefined, found: unknown): boolean | undefined =>
    id === undefined || json === undefined ? undefined : findId(json, found) === id;
  const fields: Record<string, GgufValue | undefined> = {
    bos_token_id: bos,
    eos_token_id: eos,
    eot_token_id: turn,
    unknown_token_id: idOf("unk_token"),
    padding_token_id: idOf("pad_token"),
    add_bos_token: adds(bos, first),
    add_eos_token: adds(eos, last),
  };
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, GgufValue] => field[1] !== undefined)
      .map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
  );
}

/** The special tokens at both ends of a text, from the post-processor. */
function template(json: unknown): [first: unknown, last: unknown] {
  const processor = (isObject(json) ? json.post_processor : undefined) as Component | null | undefined;
  const step = flat(processor, "processors").find(({ type }) => type === "TemplateProcessing");
  const single = Array.isArray(step?.single) ? step.single : [];
  const token = (item: unknown): unknown =>
    isObject(item) && isObject(item.SpecialToken) ? item.SpecialToken.id : undefined;
  return [token(single[0]), token(single.at(-1))];
}

function findId(json: unknown, token: unknown): number | undefined {
  const text = isObject(token) ? token.content : token;
  if (typeof text !== "string" || !isDefinition(json)) return undefined;
  const added = json.added_tokens?.find(({ content }) => content === text);
  if (added) return added.id;
  const { vocab } = json.model;
  return isObject(vocab) && Object.hasOwn(vocab, text) ? vocab[text] as number : undefined;
}
