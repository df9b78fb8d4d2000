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
import type { TokenizerDefinition } from "../tokenizer/definition.ts";
import type { GgufFields } from "./gguf_config.ts";
import { steps, vocabularyFields } from "./gguf_vocabulary.ts";

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

/** Special ids, and whether texts begin or end with them. */
function idFields(
  { generationConfig }: ModelFile,
  config: DecoderConfig,
  json: unknown,
  settings: JsonObject,
): Record<string, GgufValue> {
  const idOf = (name: string): number | undefined => findId(json, settings[name]);
  const generation = generationConfig ? new ConfigReader(generationConfig).ids("eos_token_id") : [];
  const { first, last, between } = template(json);
  // Encoders call the tokens around a text by other names.
  const bos = config.bosId ?? idOf("bos_token") ?? idOf("cls_token") ?? findId(json, first);
  const eos = idOf("eos_token") ?? config.eosIds[0] ?? generation[0] ?? idOf("sep_token") ??
    findId(json, last);
  const turn = [...generation, ...config.eosIds].find((id) => id !== eos);
  // As the tokenizer.json says: `add_bos_token` of the settings is for tokenizers without one.
  const adds = (id: number | undefined, found: unknown): boolean | undefined =>
    id === undefined || json === undefined ? undefined : findId(json, found) === id;
  const fields: Record<string, GgufValue | undefined> = {
    bos_token_id: bos,
    eos_token_id: eos,
    eot_token_id: turn,
    unknown_token_id: idOf("unk_token") ?? unknownId(json),
    padding_token_id: idOf("pad_token"),
    // The key is spelled like this.
    seperator_token_id: idOf("sep_token") ?? (config.kind === "encoder" ? findId(json, last) : undefined),
    mask_token_id: idOf("mask_token"),
    add_bos_token: adds(bos, first),
    add_eos_token: adds(eos, last),
    // Two texts have the end of the first and one more token between them.
    add_sep_token: between === 2 ? true : undefined,
    token_type_count: config.tokenTypes,
  };
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, GgufValue] => field[1] !== undefined)
      .map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
  );
}

/** The special tokens at both ends of a text, and how many stand between two, from the post-processor. */
function template(json: unknown): { first?: unknown; last?: unknown; between?: number } {
  const processors = steps(isObject(json) ? json.post_processor : undefined, "processors");
  const named = processors.find(({ type }) => type === "RobertaProcessing" || type === "BertProcessing");
  if (named && Array.isArray(named.cls) && Array.isArray(named.sep)) {
    return { first: named.cls[0], last: named.sep[0], between: named.type === "RobertaProcessing" ? 2 : 1 };
  }
  const step = processors.find(({ type }) => type === "TemplateProcessing");
  const [single, pair] = [step?.single, step?.pair].map((list) => Array.isArray(list) ? list : []);
  const token = (item: unknown): unknown =>
    isObject(item) && isObject(item.SpecialToken) ? item.SpecialToken.id : undefined;
  const [a, b] = ["A", "B"].map((id) =>
    pair.findIndex((item) => isObject(item) && isObject(item.Sequence) && item.Sequence.id === id)
  );
  return { first: token(single[0]), last: token(single.at(-1)), between: b - a - 1 };
}

/** The token for what cannot be spelled, where the model names it itself. */
function unknownId(json: unknown): number | undefined {
  if (!isDefinition(json)) return undefined;
  const { unk_id: id, unk_token: token } = json.model;
  return typeof id === "number" ? id : findId(json, token);
}

function findId(json: unknown, token: unknown): number | undefined {
  const text = isObject(token) ? token.content : token;
  if (typeof text !== "string" || !isDefinition(json)) return undefined;
  const added = json.added_tokens?.find(({ content }) => content === text);
  if (added) return added.id;
  const { vocab } = json.model;
  if (Array.isArray(vocab)) {
    const id = vocab.findIndex(([token]) => token === text);
    return id < 0 ? undefined : id;
  }
  return isObject(vocab) && Object.hasOwn(vocab, text) ? vocab[text] as number : undefined;
}
