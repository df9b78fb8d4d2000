/**
 * The pre-tokenizers that `tokenizer.ggml.pre` names: how a text is cut into words before byte-pair merging. The
 * expressions are those of the models' own `tokenizer.json` files, as llama.cpp knows them by these names; they are
 * applied one after the other, each to the pieces that the one before left.
 *
 * @module
 */

import { TokenizerError } from "../errors.ts";

/** How a byte-level BPE model cuts text. */
export interface PreTokenizer {
  /** Values of `tokenizer.ggml.pre`. */
  readonly names: readonly string[];
  /** Regular expressions in Oniguruma's syntax; matches and what lies between them become pieces. */
  readonly patterns: readonly string[];
  /** A piece that is a token stays whole, whatever the merges say. Default: `false`. */
  readonly ignoreMerges?: boolean;
  /** BOS is added where the file does not say. Default: `false`. */
  readonly addBos?: boolean;
}

/** GPT-2's words: contractions, letters, numbers, other characters, white space. */
export const GPT2_WORDS: string = String
  .raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

/** The GPT-4 family: contractions, letters, digits, punctuation, line ends, white space. */
const gpt4 = (digits: string): string =>
  String
    .raw`${CONTRACTION}|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** The GPT-4o family: words are also cut where lower case turns to upper case. */
const gpt4o = (digits: string, contraction: string): string => {
  const start = String.raw`[^\r\n\p{L}\p{N}]?`;
  const upper = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
  const lower = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
  return `${start}${upper}*${lower}+${contraction}|${start}${upper}+${lower}*${contraction}|${digits}|` +
    String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
};

const DIGIT = String.raw`\p{N}`;
const DIGITS = String.raw`\p{N}+`;
const UP_TO_THREE_DIGITS = String.raw`\p{N}{1,3}`;

/** Chinese, Korean and what else DeepSeek's first tokenizers keep together. */
const DEEPSEEK_CJK = String.raw`[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+`;

/** The cased letters of DeepSeek LLM's tokenizer. */
const DEEPSEEK_LETTERS =
  String.raw`A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293` +
  String
    .raw`\u0295-\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1` +
  String
    .raw`\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA` +
  String
    .raw`\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D` +
  String
    .raw`\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC` +
  String
    .raw`\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115` +
  String
    .raw`\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184` +
  String
    .raw`\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787` +
  String
    .raw`\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\u{10400}-\u{1044F}` +
  String
    .raw`\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}` +
  String.raw`\u{1E900}-\u{1E943}`;

const DEEPSEEK_V3 = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" +
  String.raw`|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Words of Bloom's tokenizer: everything but white space and some punctuation. */
const BLOOM = String.raw` ?[^(\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+`;

/** All known pre-tokenizers. */
export const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  {
    // What llama.cpp takes for files that name none.
    names: ["default"],
    patterns: [String.raw`[\p{P}\$\+<=>\^~\|]+`, GPT2_WORDS, DIGITS, "[0-9][0-9][0-9]"],
  },
  {
    names: [
      ...[
        "gpt-2",
        "roberta-bpe",
        "jina-v2-en",
        "phi-2",
        "mpt",
        "olmo",
        "jais",
        "trillion",
        "gigachat",
        "mellum",
        "a.x-4.0",
        "exaone4",
      ],
      "granite-docling",
    ],
    patterns: [GPT2_WORDS],
  },
  {
    names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
    patterns: [DIGIT, GPT2_WORDS],
  },
  {
    names: ["falcon"],
    patterns: [String.raw`[\p{P}\$\+<=>\^~\|` + "`]+", GPT2_WORDS, "[0-9][0-9][0-9]"],
  },
  {
    names: ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
    patterns: [gpt4(UP_TO_THREE_DIGITS)],
    ignoreMerges: true,
    addBos: true,
  },
  { names: ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], patterns: [gpt4(UP_TO_THREE_DIGITS)] },
  {
    names: [
      ...[
        "qwen2",
        "deepseek-r1-qwen",
        "kormo",
        "f2llmv2",
        "megrez",
        "stablelm2",
        "hunyuan",
        "solar-open",
        "grok-2",
      ],
    ],
    patterns: [gpt4(DIGIT)],
  },
  {
    names: ["qwen35"],
    patterns: [
      String.raw`${CONTRACTION}|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|` +
      String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
  },
  { names: ["minicpm5"], patterns: [UP_TO_THREE_DIGITS, gpt4(DIGITS)], ignoreMerges: true },
  {
    names: ["seed-coder"],
    patterns: [
      String
        .raw`${CONTRACTION}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
  },
  {
    names: ["bailingmoe", "bailingmoe2", "llada-moe"],
    patterns: [
      String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|` +
      String.raw`\s*[\r\n]|\s+(?!\S)|\s+`,
    ],
  },
  {
    names: ["deepseek-llm"],
    patterns: [
      String.raw`[\r\n]`,
      String.raw`\s?[${DEEPSEEK_LETTERS}]+`,
      String.raw`\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+`,
      String.raw`\s+$`,
      DEEPSEEK_CJK,
      DIGITS,
    ],
  },
  {
    names: ["deepseek-coder"],
    patterns: [String.raw`[\r\n]`, String.raw`\s?\p{L}+`, String.raw`\s?\p{P}+`, DEEPSEEK_CJK, DIGIT],
  },
  {
    names: ["deepseek-v3", "hunyuan-dense", "joyai-llm"],
    patterns: [UP_TO_THREE_DIGITS, String.raw`[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+`, DEEPSEEK_V3],
  },
  { names: ["tekken"], patterns: [gpt4o(DIGIT, "")], ignoreMerges: true, addBos: true },
  {
    names: ["gpt-4o", "llama4", "kanana2", "minimax-m2"],
    patterns: [gpt4o(UP_TO_THREE_DIGITS, `${CONTRACTION}?`)],
  },
  {
    names: ["tiny_aya", "cohere2moe"],
    patterns: [String.raw`\d{1,3}(?=(?:\d{3})*\b)`, gpt4o(UP_TO_THREE_DIGITS, `${CONTRACTION}?`)],
  },
  { names: ["superbpe"], patterns: [DIGITS, String.raw`(?=(\d{3})+(?!\d))`] },
  { names: ["bloom", "poro-chat", "gpt3-finnish"], patterns: [BLOOM] },
  { names: ["viking"], patterns: [BLOOM, DIGIT] },
];

/** The pre-tokenizer of a name; throws a `TokenizerError` for an unknown one. */
export function findPreTokenizer(name: string): PreTokenizer {
  const found = PRE_TOKENIZERS.find(({ names }) => names.includes(name));
  if (found) return found;
  const known = PRE_TOKENIZERS.flatMap(({ names }) => names).join(", ");
  throw new TokenizerError(
    `tokenizer.ggml.pre ${JSON.stringify(name)} is not a known pre-tokenizer; known are ${known}; ` +
      `use the model's Hugging Face folder instead`,
  );
}

/** A pre-tokenizer as `tokenizer.json` spells it: the cuts, then bytes to GPT-2's alphabet. */
export function byteLevelPreTokenizer({ patterns }: PreTokenizer): unknown {
  return {
    type: "Sequence",
    pretokenizers: [
      ...patterns.map((Regex) => ({
        type: "Split",
        pattern: { Regex },
        behavior: "Isolated",
        invert: false,
      })),
      { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    ],
  };
}
