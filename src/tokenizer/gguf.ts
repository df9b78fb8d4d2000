/**
 * Tokenizers of GGUF files, from their `tokenizer.*` metadata.
 *
 * @module
 */

import { TokenizerError } from "../errors.ts";
import {
  type AddedToken,
  bpeModel,
  createEncoder,
  type Encode,
  forEachSliced,
  type Pipeline,
} from "./encoder.ts";
import { GGUF_DEFINITIONS } from "./gguf_definitions.ts";
import { type GgufTokenizerFields, ggufTokenizerFields, type StringList, TOKEN_TYPE } from "./gguf_fields.ts";
import { huggingFaceTokenizer } from "./hugging_face.ts";
import { endsTurn, ModelTokenizer } from "./model_tokenizer.ts";
import { MergeRanks, type PairRanks, ScoreRanks } from "./pair_ranks.ts";
import { byteLevelPreTokenizer, findPreTokenizer } from "./pre_tokenizers.ts";
import type { Tokenizer, TokenPair } from "./tokenizer.ts";
import {
  byteLevelSpelling,
  SENTENCE_PIECE_SPACE,
  sentencePieceSpelling,
  type Spelling,
  Vocabulary,
} from "./vocabulary.ts";
import { wordSplit } from "./word_split.ts";

/** What kinds of vocabulary differ in. */
interface Kind {
  readonly spelling: Spelling;
  readonly pipeline: (added: readonly AddedToken[]) => Pick<Pipeline, "normalizer" | "pre_tokenizer">;
  readonly addBos: boolean;
  readonly ignoreMerges: boolean;
  readonly byteFallback: boolean;
  readonly ranks: (ids: ReadonlyMap<string, number>) => PairRanks | Promise<PairRanks>;
}

const KINDS: Readonly<Record<string, (fields: GgufTokenizerFields) => Kind>> = {
  gpt2: byteLevelKind,
  llama: sentencePieceKind,
};

/**
 * The tokenizer that a GGUF file's metadata describes. Decoding works at once and reads only the tokens that it is
 * asked for; `prepare` builds the tables of the encoder. Lists of strings that are in `packed` too stay undecoded until
 * then.
 *
 * Throws a `TokenizerError` for a kind of vocabulary or a pre-tokenizer that is not known.
 */
export function ggufTokenizer(
  metadata: Readonly<Record<string, unknown>>,
  packed?: ReadonlyMap<string, StringList>,
): Tokenizer {
  const fields = ggufTokenizerFields(metadata, packed);
  const { model, tokens, bosId, endIds, unknownId, paddingId } = fields;
  if (Object.hasOwn(GGUF_DEFINITIONS, model)) {
    const special = { bos_token: fields.clsId ?? bosId, eos_token: endIds[0], unk_token: unknownId };
    const config = Object.fromEntries(
      Object.entries(special).map(([name, id]) => [name, id === undefined ? undefined : tokens.at(id)]),
    );
    return huggingFaceTokenizer(
      GGUF_DEFINITIONS[model]({ ...fields, tokens: [...tokens] }, addedTokens(fields)),
      { config },
    );
  }
  if (!Object.hasOwn(KINDS, model)) {
    throw new TokenizerError(
      `tokenizer.ggml.model ${JSON.stringify(model)} is not supported; supported are ${
        [...Object.keys(KINDS), ...Object.keys(GGUF_DEFINITIONS)].join(", ")
      }; ` +
        `use the model's Hugging Face folder instead`,
    );
  }
  const kind = KINDS[model](fields);
  const added = addedTokens(fields);
  const special = added.filter((token) => token.special);
  const text = (id: number | undefined) => id === undefined ? "" : tokens.at(id);
  const turnEnds = special.filter(({ content }) => endsTurn(content)).map(({ id }) => id);
  return new ModelTokenizer({
    vocabulary: new Vocabulary({
      size: tokens.length,
      token: (id) => tokens.at(id),
      special: new Set(special.map(({ id }) => id)),
      literal: new Set(added.map(({ id }) => id)),
      spelling: kind.spelling,
    }),
    bosId,
    eosIds: [...new Set([...endIds, ...turnEnds])],
    chatTemplate: fields.chatTemplate,
    templateVariables: {
      bos_token: text(bosId),
      eos_token: text(endIds[0]),
      unk_token: text(unknownId),
      pad_token: text(paddingId),
    },
    createEncoder: () => ggufEncoder(fields, kind, added),
  });
}

/** A GGUF tokenizer that is ready to encode. */
export async function createGgufTokenizer(metadata: Readonly<Record<string, unknown>>): Promise<Tokenizer> {
  const tokenizer = ggufTokenizer(metadata);
  await tokenizer.prepare();
  return tokenizer;
}

/** Byte-level BPE with listed merges. */
function byteLevelKind({ pre, merges }: GgufTokenizerFields): Kind {
  const preTokenizer = findPreTokenizer(pre);
  if (!merges) {
    throw new TokenizerError("the file has no tokenizer.ggml.merges; convert the model to GGUF again");
  }
  return {
    spelling: byteLevelSpelling,
    pipeline: () => ({ normalizer: null, pre_tokenizer: byteLevelPreTokenizer(preTokenizer) }),
    addBos: preTokenizer.addBos ?? false,
    ignoreMerges: preTokenizer.ignoreMerges ?? false,
    byteFallback: false,
    async ranks() {
      const ranks = new MergeRanks(" ");
      const list = [...merges()];
      await forEachSliced(list.length, (i) => ranks.append(list[i]));
      return ranks;
    },
  };
}

/** SentencePiece: pairs merge by the score of the token that they make. */
function sentencePieceKind({ tokens, scores, addSpacePrefix = true }: GgufTokenizerFields): Kind {
  if (!scores) {
    throw new TokenizerError("the file has no tokenizer.ggml.scores; convert the model to GGUF again");
  }
  const spaces = { type: "Replace", pattern: { String: " " }, content: SENTENCE_PIECE_SPACE };
  // The prefix goes before each stretch of text between added tokens, a space at its start notwithstanding.
  const prefix = { type: "Prepend", prepend: SENTENCE_PIECE_SPACE };
  return {
    spelling: sentencePieceSpelling({ stripLeadingSpace: addSpacePrefix, byteFallback: true }),
    pipeline: (added) => ({
      normalizer: addSpacePrefix ? { type: "Sequence", normalizers: [prefix, spaces] } : spaces,
      pre_tokenizer: wordSplit([...tokens], added),
    }),
    addBos: true,
    ignoreMerges: false,
    byteFallback: true,
    ranks: (ids) => new ScoreRanks(ids, scores),
  };
}

/** Control tokens, and tokens that the model's makers added: text is searched for them before anything else. */
function addedTokens({ tokens, types, bosId, endIds }: GgufTokenizerFields): AddedToken[] {
  const added: AddedToken[] = [];
  for (let id = 0; id < tokens.length; id++) {
    // Files without types are old; what must be special in them is.
    const type = types
      ? types[id]
      : id === bosId || endIds.includes(id)
      ? TOKEN_TYPE.control
      : TOKEN_TYPE.normal;
    const userDefined = type === TOKEN_TYPE.userDefined;
    if (!userDefined && type !== TOKEN_TYPE.control && type !== TOKEN_TYPE.unknown) continue;
    const content = tokens.at(id) ?? "";
    // Some converters mark the end of a turn as an ordinary added token.
    if (content !== "") {
      added.push({ id, content, special: !userDefined || endsTurn(content), normalized: false });
    }
  }
  return added;
}

async function ggufEncoder(
  fields: GgufTokenizerFields,
  kind: Kind,
  added: readonly AddedToken[],
): Promise<Encode> {
  const { tokens, bosId, endIds, unknownId } = fields;
  const pipeline = { ...kind.pipeline(added), added_tokens: added, post_processor: null };
  const encode = await createEncoder(pipeline, async (library) => {
    const ids = new Map<string, number>();
    const texts = [...tokens];
    await forEachSliced(texts.length, (id) => ids.set(texts[id], id));
    return bpeModel(library, ids, await kind.ranks(ids), {
      unknown: unknownId === undefined ? undefined : tokens.at(unknownId),
      byteFallback: kind.byteFallback,
      ignoreMerges: kind.ignoreMerges,
    });
  });
  const before = (fields.addBos ?? kind.addBos) && bosId !== undefined ? [bosId] : [];
  const after = fields.addEos && endIds.length > 0 ? [endIds[0]] : [];
  const around: Encode = (text, options) => {
    const ids = encode(text, options);
    return options?.addSpecial ?? true ? [...before, ...ids, ...after] : ids;
  };
  if (after.length === 0) return around;
  // RoBERTa, whose texts have a begin, puts a second end between two.
  const between = before.length > 0 ? [...after, ...after] : after;
  return Object.assign(around, {
    pair(first: string, second: string): TokenPair {
      const [a, b] = [first, second].map((text) => encode(text));
      const ids = [...before, ...a, ...between, ...b, ...after];
      return { ids, tokenTypes: ids.map(() => 0) };
    },
  });
}
