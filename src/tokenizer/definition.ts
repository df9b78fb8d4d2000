/**
 * A `tokenizer.json`: what its parts mean for decoding, and the places where `@huggingface/tokenizers` reads them
 * differently from the reference implementation, put in words that it reads right.
 *
 * @module
 */

import { TokenizerError } from "../errors.ts";
import type { AddedToken } from "./encoder.ts";
import { GPT2_WORDS } from "./pre_tokenizers.ts";
import {
  byteLevelSpelling,
  plainSpelling,
  SENTENCE_PIECE_SPACE,
  sentencePieceSpelling,
  type Spelling,
  wordPieceSpelling,
} from "./vocabulary.ts";

/** A part of a `tokenizer.json`; its `type` says which other fields it has. */
export interface Component {
  /** What it is. */
  readonly type: string;
  /** The fields of that type. */
  readonly [field: string]: unknown;
}

/** A parsed `tokenizer.json`. */
export interface TokenizerDefinition {
  /** Tokens found before anything else. */
  readonly added_tokens?: readonly AddedToken[];
  /** Text to normal form. */
  readonly normalizer?: Component | null;
  /** Text to words. */
  readonly pre_tokenizer?: Component | null;
  /** Words to tokens. */
  readonly model: ModelComponent;
  /** Special tokens around the text. */
  readonly post_processor?: Component | null;
  /** Tokens to text. */
  readonly decoder?: Component | null;
}

/** The `model` of a `tokenizer.json`. */
export interface ModelComponent {
  /** `BPE`, `Unigram` or `WordPiece`; old files leave it out. */
  readonly type?: string;
  /** Ids of tokens, or tokens with their scores. */
  readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
  /** Merges of BPE, in order of rank. */
  readonly merges?: readonly string[] | readonly (readonly [string, string])[];
  /** The other fields of that type. */
  readonly [field: string]: unknown;
}

/** The pre-tokenizer in the library's words. */
export function repairPreTokenizer(component: Component | null | undefined): Component | null {
  if (!component) return null;
  switch (component.type) {
    case "Sequence":
      return { ...component, pretokenizers: components(component.pretokenizers).map(repairPreTokenizer) };
    case "Digits":
      // The library knows 0 to 9 only; numbers of all scripts are meant.
      return split(component.individual_digits ? String.raw`\p{N}` : String.raw`\p{N}+`);
    case "ByteLevel":
      // The library splits with JavaScript's \s, which has U+FEFF and lacks U+0085.
      if (component.add_prefix_space || component.use_regex === false) return component;
      return sequence([split(GPT2_WORDS), { ...component, use_regex: false }]);
    case "Metaspace":
      return { ...component, prepend_scheme: prependScheme(component) };
    default:
      return component;
  }
}

/** The post-processor in the library's words. */
export function repairPostProcessor(component: Component | null | undefined): Component | null {
  if (!component) return null;
  switch (component.type) {
    case "Sequence":
      return { ...component, processors: components(component.processors).map(repairPostProcessor) };
    case "RobertaProcessing":
      return robertaTemplate(component);
    default:
      return component;
  }
}

/** `cls A sep`, `cls A sep sep B sep`. The library gives the second text a type of its own; RoBERTa knows one only. */
function robertaTemplate({ cls, sep }: Component): Component {
  const [[begin, beginId], [end, endId]] = [cls, sep] as [string, number][];
  const token = (id: string): unknown => ({ SpecialToken: { id, type_id: 0 } });
  const text = (id: string): unknown => ({ Sequence: { id, type_id: 0 } });
  const single = [token(begin), text("A"), token(end)];
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, token(end), text("B"), token(end)],
    special_tokens: {
      [begin]: { id: begin, ids: [beginId], tokens: [begin] },
      [end]: { id: end, ids: [endId], tokens: [end] },
    },
  };
}

/** How tokens spell bytes, from the decoder; throws a `TokenizerError` for a decoder that is not known. */
export function spellingOf(decoder: Component | null | undefined): Spelling {
  if (!decoder) return plainSpelling;
  switch (decoder.type) {
    case "ByteLevel":
      return byteLevelSpelling;
    case "Metaspace":
      return sentencePieceSpelling({
        stripLeadingSpace: prependScheme(decoder) !== "never",
        byteFallback: false,
      });
    case "WordPiece":
      return wordPieceSpelling(String(decoder.prefix ?? "##"), decoder.cleanup !== false);
    case "Sequence":
      return spellingOfSequence(components(decoder.decoders));
    default:
      throw unknownDecoder(decoder);
  }
}

/** Decoders of SentencePiece vocabularies are written out step by step. */
function spellingOfSequence(steps: readonly Component[]): Spelling {
  let spelling: Spelling | undefined;
  let byteFallback = false;
  let stripLeadingSpace = false;
  for (const step of steps) {
    if (step.type === "ByteFallback") byteFallback = true;
    else if (step.type === "Strip") stripLeadingSpace ||= Number(step.start ?? 0) > 0;
    else if (step.type === "Replace" && replaces(step) === SENTENCE_PIECE_SPACE) continue;
    else if (step.type !== "Fuse") spelling = spellingOf(step);
  }
  return spelling ?? sentencePieceSpelling({ stripLeadingSpace, byteFallback });
}

function replaces(step: Component): unknown {
  return (step.pattern as { String?: unknown } | undefined)?.String;
}

function unknownDecoder(decoder: Component): TokenizerError {
  return new TokenizerError(
    `tokenizer.json has the decoder ${decoder.type}, which is not supported; use a GGUF file`,
  );
}

/** Where a Metaspace puts a space: before every word, the first, or none. */
export function prependScheme(component: Component): unknown {
  return component.prepend_scheme ?? (component.add_prefix_space === false ? "never" : "always");
}

function components(value: unknown): readonly Component[] {
  return Array.isArray(value) ? value : [];
}

function split(Regex: string): Component {
  return { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false };
}

function sequence(pretokenizers: readonly Component[]): Component {
  return { type: "Sequence", pretokenizers };
}
