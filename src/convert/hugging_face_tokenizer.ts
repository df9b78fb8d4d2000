/**
 * The tokenizer of a GGUF file as the files of a Hugging Face folder.
 *
 * @module
 */
import { TokenizerError } from "../errors.ts";
import { parseJson } from "../formats/json.ts";
import type { MetadataValue } from "../formats/model_file.ts";
import { EMBEDDED_TOKENIZER } from "../model_files.ts";
import type { AddedToken } from "../tokenizer/encoder.ts";
import { GGUF_DEFINITIONS } from "../tokenizer/gguf_definitions.ts";
import { type DecodedFields, ggufTokenizerFields, TOKEN_TYPE } from "../tokenizer/gguf_fields.ts";
import { byteLevelPreTokenizer, findPreTokenizer } from "../tokenizer/pre_tokenizers.ts";
import { SENTENCE_PIECE_SPACE } from "../tokenizer/vocabulary.ts";

/** JSON files by name. */
export type JsonFiles = Record<string, unknown>;

/** `tokenizer.json`, `tokenizer_config.json` and `generation_config.json`; none where the file has no tokenizer. */
export function huggingFaceTokenizerFiles(
  metadata: Readonly<Record<string, MetadataValue>>,
  file: string,
): JsonFiles {
  const embedded = metadata[EMBEDDED_TOKENIZER];
  const definition = typeof embedded === "string"
    ? parseJson(embedded, { file, tensor: EMBEDDED_TOKENIZER })
    : undefined;
  const model = metadata["tokenizer.ggml.model"];
  if (model === undefined || model === "none") {
    return definition ? { "tokenizer.json": definition, "tokenizer_config.json": {} } : {};
  }
  const read = ggufTokenizerFields(metadata);
  const fields: DecodedFields = { ...read, tokens: [...read.tokens] };
  return {
    "tokenizer.json": definition ?? tokenizerJson(fields),
    "tokenizer_config.json": settings(fields),
    ...(fields.endIds.length > 0
      ? {
        "generation_config.json": {
          ...(fields.bosId === undefined ? {} : { bos_token_id: fields.bosId }),
          eos_token_id: fields.endIds,
        },
      }
      : {}),
  };
}

function settings(fields: DecodedFields): Record<string, unknown> {
  const { tokens, bosId, endIds, unknownId, paddingId, addBos, addEos, chatTemplate } = fields;
  const { clsId, separatorId, maskId } = ofEncoder(fields) ? fields : {};
  const text = (id: number | undefined): string | undefined => id === undefined ? undefined : tokens[id];
  const all = {
    tokenizer_class: "PreTrainedTokenizerFast",
    clean_up_tokenization_spaces: false,
    bos_token: text(bosId),
    eos_token: text(endIds[0]),
    unk_token: text(unknownId),
    pad_token: text(paddingId),
    cls_token: text(clsId),
    sep_token: text(separatorId),
    mask_token: text(maskId),
    add_bos_token: addBos,
    add_eos_token: addEos,
    chat_template: chatTemplate,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Whether texts stand between two tokens, as encoders have it. */
function ofEncoder({ model, addBos, addEos }: DecodedFields): boolean {
  return model === "bert" || (addBos === true && addEos === true);
}

const KINDS: Readonly<Record<string, (fields: DecodedFields) => Record<string, unknown>>> = {
  gpt2: byteLevel,
  llama: sentencePiece,
};

function tokenizerJson(fields: DecodedFields): Record<string, unknown> {
  const added = addedTokens(fields);
  if (Object.hasOwn(GGUF_DEFINITIONS, fields.model)) {
    const { added_tokens: plain, ...rest } = GGUF_DEFINITIONS[fields.model](fields, added);
    return { ...FRAME, added_tokens: plain, ...rest };
  }
  if (!Object.hasOwn(KINDS, fields.model)) {
    throw new TokenizerError(
      `tokenizer.ggml.model ${JSON.stringify(fields.model)} cannot be written as tokenizer.json; ` +
        `convert to gguf or forge, or put the model's own tokenizer.json there`,
    );
  }
  return { ...FRAME, added_tokens: added, ...KINDS[fields.model](fields) };
}

/** What every `tokenizer.json` has. */
const FRAME = { version: "1.0", truncation: null, padding: null };

function addedTokens({ tokens, types }: DecodedFields): AddedToken[] {
  const added: AddedToken[] = [];
  for (let id = 0; id < tokens.length; id++) {
    const type = types?.[id];
    const special = type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown;
    if (!special && type !== TOKEN_TYPE.userDefined) continue;
    const content = tokens[id];
    const exact = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    if (content !== "") added.push({ id, content, ...exact, special });
  }
  return added;
}

function vocabulary({ tokens }: DecodedFields): Record<string, number> {
  const ids: Record<string, number> = Object.create(null);
  for (let id = 0; id < tokens.length; id++) ids[tokens[id]] ??= id;
  return ids;
}

function byteLevel(fields: DecodedFields): Record<string, unknown> {
  const cuts = findPreTokenizer(fields.pre);
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    normalizer: null,
    pre_tokenizer: byteLevelPreTokenizer(cuts),
    post_processor: template(fields, cuts.addBos ?? false),
    decoder: bytes,
    model: bpe(fields, Array.from(fields.merges(), pair), { ignore_merges: cuts.ignoreMerges ?? false }),
  };
}

/** The two sides of a merge; one may be a space itself. */
function pair(merge: string): [string, string] {
  const at = merge.indexOf(" ", 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

function sentencePiece(fields: DecodedFields): Record<string, unknown> {
  const { addSpacePrefix = true, tokens, unknownId } = fields;
  const spaces = { type: "Replace", pattern: { String: " " }, content: SENTENCE_PIECE_SPACE };
  const prefix = { type: "Prepend", prepend: SENTENCE_PIECE_SPACE };
  return {
    normalizer: addSpacePrefix ? { type: "Sequence", normalizers: [prefix, spaces] } : spaces,
    pre_tokenizer: null,
    post_processor: template(fields, true),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: SENTENCE_PIECE_SPACE }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(addSpacePrefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: bpe(fields, mergesByScore(fields), {
      byte_fallback: true,
      fuse_unk: true,
      unk_token: unknownId === undefined ? null : tokens[unknownId],
    }),
  };
}

/** All ways to make each token of two others, those of the highest score first. */
function mergesByScore(fields: DecodedFields): [string, string][] {
  const { tokens, scores, types } = fields;
  if (!scores) {
    throw new TokenizerError("the file has no tokenizer.ggml.scores; convert the model to GGUF again");
  }
  const ids = vocabulary(fields);
  const merges: { left: string; right: string; id: number }[] = [];
  for (let id = 0; id < tokens.length; id++) {
    const type = types?.[id] ?? TOKEN_TYPE.normal;
    if (type !== TOKEN_TYPE.normal && type !== TOKEN_TYPE.userDefined) continue;
    const characters = Array.from(tokens[id]);
    const found = characters.slice(1).flatMap((_, i) => {
      const left = characters.slice(0, i + 1).join("");
      const right = characters.slice(i + 1).join("");
      return left in ids && right in ids ? [{ left, right, id }] : [];
    });
    merges.push(...found.sort((a, b) => ids[a.left] - ids[b.left] || ids[a.right] - ids[b.right]));
  }
  // Stable: ways to one token, and tokens of one score, stay in the order of their ids.
  return merges.sort((a, b) => scores[b.id] - scores[a.id]).map(({ left, right }) => [left, right]);
}

function bpe(
  fields: DecodedFields,
  merges: readonly (readonly [string, string])[],
  own: Record<string, unknown>,
): Record<string, unknown> {
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    ...own,
    vocab: vocabulary(fields),
    merges,
  };
}

/** The special tokens around a text. */
function template(fields: DecodedFields, bosByDefault: boolean): Record<string, unknown> | null {
  const { tokens, bosId, endIds, addBos = bosByDefault, addEos } = fields;
  const before = addBos && bosId !== undefined ? [bosId] : [];
  const after = addEos && endIds.length > 0 ? [endIds[0]] : [];
  if (before.length + after.length === 0) return null;
  const special = (id: number): unknown => ({ SpecialToken: { id: tokens[id], type_id: 0 } });
  const text = (id: string): unknown => ({ Sequence: { id, type_id: 0 } });
  const around = (id: string): unknown[] => [...before.map(special), text(id), ...after.map(special)];
  // RoBERTa, whose texts stand between two tokens, has the end again in place of a second begin.
  const second = after.length > 0 ? before.map(() => special(after[0])) : before.map(special);
  return {
    type: "TemplateProcessing",
    single: around("A"),
    pair: [...around("A"), ...second, text("B"), ...after.map(special)],
    special_tokens: Object.fromEntries(
      [...before, ...after].map((id) => [tokens[id], { id: tokens[id], ids: [id], tokens: [tokens[id]] }]),
    ),
  };
}
