/**
 * Encoding over `@huggingface/tokenizers`, which is imported when the first encoder is made and not before: runs that
 * are given ids never load it.
 *
 * @module
 */

import type { BPE, Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { importPackage } from "../import_package.ts";
import type { EncodeOptions, TokenPair } from "./tokenizer.ts";
import type { PairRanks } from "./pair_ranks.ts";

/** The library's module. */
export type Library = typeof import("@huggingface/tokenizers");

/** The library's model: pre-tokens to tokens. */
export type LibraryModel = NonNullable<LibraryTokenizer["model"]>;

/** Text to ids. */
export interface Encode {
  (text: string, options?: EncodeOptions): number[];
  /** Two texts to ids, where that can be told. */
  pair?(first: string, second: string): TokenPair;
}

/** A token that is found in the text before anything else is done to it. */
export interface AddedToken {
  /** Its id. */
  id: number;
  /** Its text. */
  content: string;
  /** Control token: counts only where special tokens in the text are parsed. */
  special?: boolean;
  /** Takes white space before it along. */
  lstrip?: boolean;
  /** Takes white space after it along. */
  rstrip?: boolean;
  /** Matched in the normalized text. */
  normalized?: boolean;
}

/** The parts of a `tokenizer.json` around its model. */
export interface Pipeline {
  /** Tokens that are found first. */
  added_tokens: readonly AddedToken[];
  /** Text to normal form; `null` for none. */
  normalizer: unknown;
  /** Text to pre-tokens; `null` for none. */
  pre_tokenizer: unknown;
  /** Adds BOS and the like; `null` for none. */
  post_processor: unknown;
}

/** Loads the library and makes an encoder of a pipeline and the model that `makeModel` gives. */
export async function createEncoder(
  pipeline: Pipeline,
  makeModel: (library: Library) => LibraryModel | Promise<LibraryModel>,
  config: Readonly<Record<string, unknown>> = {},
): Promise<Encode> {
  const library = await importPackage("@huggingface/tokenizers", () => import("@huggingface/tokenizers"));
  const model = await makeModel(library);
  const { added_tokens: added } = pipeline;
  for (const { content, id } of added) model.tokens_to_ids.set(content, id);
  // The library always finds added tokens, so text in which special tokens do not count goes through a second
  // pipeline that knows of none. Both share the model.
  const parsing = assemble(library, pipeline, model, config);
  const plain = assemble(
    library,
    { ...pipeline, added_tokens: added.filter((t) => !t.special) },
    model,
    config,
  );
  const encode: Encode = (text, { addSpecial = true, parseSpecial = false } = {}) =>
    (parseSpecial ? parsing : plain).encode(text, { add_special_tokens: addSpecial }).ids;
  return Object.assign(encode, {
    pair(first: string, second: string): TokenPair {
      const { ids, token_type_ids: types } = plain.encode(first, {
        text_pair: second,
        return_token_type_ids: true,
      });
      return { ids, tokenTypes: types ?? ids.map(() => 0) };
    },
  });
}

function assemble(
  library: Library,
  pipeline: Pipeline,
  model: LibraryModel,
  config: Readonly<Record<string, unknown>>,
): LibraryTokenizer {
  const empty = { type: "BPE", vocab: {}, merges: [] };
  const tokenizer = new library.Tokenizer({ ...pipeline, decoder: null, model: empty }, config);
  tokenizer.model = model;
  return tokenizer;
}

/** What makes a BPE model, beside its tables. */
export interface BpeOptions {
  /** Token for what cannot be spelled, where there is one. */
  unknown?: string;
  /** Characters outside the vocabulary become tokens such as `<0xE2>`. */
  byteFallback?: boolean;
  /** Neighbouring unknown tokens become one. */
  fuseUnknown?: boolean;
  /** A pre-token that is a token stays whole, whatever the merges say. */
  ignoreMerges?: boolean;
  /** Marks the end of a word, such as `</w>`. */
  endOfWordSuffix?: string;
}

/** A BPE model over tables that exist already: the library's constructor would build its own for 100 ms and more. */
export function bpeModel(
  library: Library,
  ids: Map<string, number>,
  ranks: PairRanks,
  options: BpeOptions,
): BPE {
  const model = new library.BPE({
    type: "BPE",
    vocab: {},
    merges: [],
    unk_token: options.unknown,
    byte_fallback: options.byteFallback,
    fuse_unk: options.fuseUnknown,
    ignore_merges: options.ignoreMerges ?? false,
    end_of_word_suffix: options.endOfWordSuffix,
  });
  model.tokens_to_ids = ids;
  model.bpe_ranks = ranks;
  if (options.unknown !== undefined) model.unk_token_id = ids.get(options.unknown);
  return model;
}

/** Milliseconds of table building between two pauses. */
const SLICE_MS = 8;

/**
 * Calls `visit` for every index below `count`, with pauses in which reading files and uploading weights go on: a
 * vocabulary of 128,000 tokens is tens of milliseconds.
 */
export async function forEachSliced(count: number, visit: (index: number) => void): Promise<void> {
  let started = performance.now();
  for (let i = 0; i < count; i++) {
    visit(i);
    if ((i & 1023) === 1023 && performance.now() - started > SLICE_MS) {
      await pause();
      started = performance.now();
    }
  }
}

/** A turn of the event loop; a timer would wait for two milliseconds. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
