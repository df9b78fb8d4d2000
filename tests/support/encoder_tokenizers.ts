/**
 * Small tokenizers of the kinds that encoders have, as `tokenizer.json`.
 *
 * @module
 */
import type { Component, TokenizerDefinition } from "../../src/tokenizer/definition.ts";
import type { AddedToken } from "../../src/tokenizer/encoder.ts";
import { MODELS } from "./goldens.ts";
import { smallTokenizer } from "./small_tokenizer.ts";

/** A tokenizer. */
export interface EncoderTokenizer {
  /** The fixture whose vocabulary has as many tokens, or more. */
  model: string;
  /** `tokenizer.ggml.model` of its GGUF files. */
  kind: string;
  /** Its definition. */
  json(): Promise<TokenizerDefinition>;
}

const exact = { single_word: false, lstrip: false, rstrip: false, normalized: false };
const special = (content: string, id: number) => ({ id, content, ...exact, special: true });
const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };

interface WordPieceDefinition {
  added_tokens: AddedToken[];
  normalizer: Component;
  model: { vocab: Record<string, number> };
}

/** BERT's, with parts of words and, where it is cased, capitals; `<extra>` was added by the model's makers. */
async function wordPiece(cased: boolean): Promise<TokenizerDefinition> {
  const path = new URL("bert-rerank/tokenizer.json", MODELS);
  const { model, ...rest }: WordPieceDefinition = JSON.parse(await Deno.readTextFile(path));
  const { vocab } = model;
  for (const token of ["##s", "##x", ",", "x", ...(cased ? ["House", "H", "##ouse"] : [])]) {
    vocab[token] = Object.keys(vocab).length;
  }
  const extra = { id: Object.keys(vocab).length, content: "<extra>", ...exact, special: false };
  return {
    ...rest,
    added_tokens: [...rest.added_tokens, extra],
    normalizer: { ...rest.normalizer, lowercase: !cased },
    model: { ...model, vocab: { ...vocab, [extra.content]: extra.id } },
  };
}

const PIECES: readonly [string, number][] = [
  ["▁the", -2],
  ["▁", -3],
  ["t", -4],
  ["he", -3.5],
  ["▁t", -3.2],
  ["re", -2.5],
  ["d", -4.5],
  ["House", -5],
  ["▁cat", -4],
  ["s", -3],
  ["e", -4.25],
  [",", -3.75],
];

/** Unigram with these special tokens first; T5 has an end only, XLM-RoBERTa a begin too. */
function unigram(
  specials: readonly string[],
  [begin, end]: readonly [string | undefined, string],
  normalizer: Component | null,
): TokenizerDefinition {
  const ids = new Map(specials.map((token, id) => [token, id]));
  const token = (id: string | undefined) => id === undefined ? [] : [{ SpecialToken: { id, type_id: 0 } }];
  const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const single = [...token(begin), sequence("A"), ...token(end)];
  return {
    added_tokens: specials.map(special),
    normalizer,
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, ...(begin === undefined ? [] : token(end)), sequence("B"), ...token(end)],
      special_tokens: Object.fromEntries(
        [begin, end].filter((id) => id !== undefined)
          .map((id) => [id, { id, ids: [ids.get(id)], tokens: [id] }]),
      ),
    },
    decoder: metaspace,
    model: {
      type: "Unigram",
      unk_id: ids.get("<unk>"),
      vocab: [...specials.map((token): [string, number] => [token, 0]), ...PIECES],
      byte_fallback: false,
    },
  };
}

/** RoBERTa's: bytes, with a processor of its own for the tokens around a text. */
function roberta(): TokenizerDefinition {
  const { added_tokens: _, model, ...rest } = smallTokenizer(300);
  const { vocab, ...settings } = model as { vocab: Record<string, number> };
  const specials = ["<s>", "<pad>", "</s>", "<unk>"];
  const bytes = Object.entries(vocab).filter(([, id]) => id < 256);
  return {
    ...rest,
    added_tokens: specials.map(special),
    post_processor: {
      type: "RobertaProcessing",
      sep: ["</s>", 2],
      cls: ["<s>", 0],
      trim_offsets: true,
      add_prefix_space: false,
    },
    model: {
      ...settings,
      vocab: Object.fromEntries([
        ...specials.map((token, id) => [token, id]),
        ...bytes.map(([token, id]) => [token, id + specials.length]),
        ["Ġt", 260],
        ["he", 261],
        ["Ġthe", 262],
      ]),
      merges: ["Ġ t", "h e", "Ġt he"],
    },
  };
}

/** The tokenizers by what they are. */
export const ENCODER_TOKENIZERS: Readonly<Record<string, EncoderTokenizer>> = {
  "WordPiece of lower case": { model: "bert", kind: "bert", json: () => wordPiece(false) },
  "WordPiece with capitals": { model: "bert", kind: "bert", json: () => wordPiece(true) },
  "Unigram of T5": {
    model: "t5",
    kind: "t5",
    json: () => Promise.resolve(unigram(["<pad>", "</s>", "<unk>"], [undefined, "</s>"], null)),
  },
  "Unigram of XLM-RoBERTa": {
    model: "roberta",
    kind: "t5",
    json: () =>
      Promise.resolve(
        unigram(["<s>", "<pad>", "</s>", "<unk>"], ["<s>", "</s>"], {
          type: "Precompiled",
          precompiled_charsmap: btoa("any bytes"),
        }),
      ),
  },
  "byte-level BPE of RoBERTa": { model: "roberta", kind: "gpt2", json: () => Promise.resolve(roberta()) },
};
