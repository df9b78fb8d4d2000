import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { TokenizerError } from "../errors.ts";
import { ENCODER_TOKENIZERS } from "../../tests/support/encoder_tokenizers.ts";
import { createHuggingFaceTokenizer, huggingFaceTokenizer } from "./hugging_face.ts";

const folder = new URL("../../tests/fixtures/stories/", import.meta.url);
const readJson = async (name: string) => JSON.parse(await Deno.readTextFile(new URL(name, folder)));
const definition = await readJson("tokenizer.json");
const config = await readJson("tokenizer_config.json");
const golden: {
  cases: { prompt: string; prompt_ids: number[]; greedy_ids: number[]; greedy_text: string }[];
} = await readJson("golden.json");

const stories = await createHuggingFaceTokenizer(definition, { config });

Deno.test("stories: prompts and texts of the goldens, with BOS by itself", () => {
  for (const { prompt, prompt_ids, greedy_ids, greedy_text } of golden.cases) {
    assertEquals(stories.encode(prompt), prompt_ids);
    assertEquals(stories.encode(prompt, { addSpecial: false }), prompt_ids.slice(1));
    assertEquals(stories.decode(prompt_ids), prompt);
    assertEquals(stories.decode(greedy_ids, { skipSpecial: false }), greedy_text);
  }
});

Deno.test("stories: what is special", () => {
  assertEquals(stories.vocabSize, 2048);
  assertEquals(stories.bosId, 0);
  assertEquals([...stories.eosIds], [0]);
  assertEquals(stories.encode(""), [0]);
  assertEquals(stories.encode("<|endoftext|>", { parseSpecial: true }), [0, 0]);
  const plain = stories.encode("<|endoftext|>");
  assert(plain.length > 2 && !plain.slice(1).includes(0));
  assertEquals(stories.decode(plain), "<|endoftext|>");
});

Deno.test("decode undoes encode for every Unicode text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.boolean(), (text, parseSpecial) => {
    const ids = stories.encode(text, { parseSpecial });
    assertEquals(stories.decode(ids), text);
    assertEquals(stories.decode(ids.slice(1), { skipSpecial: false }), text);
  }));
});

Deno.test("streaming gives what decode gives, whole characters at a time, for any ids", () => {
  const ids = fc.array(fc.nat(2100), { maxLength: 60 });
  fc.assert(fc.property(ids, fc.boolean(), (ids, skipSpecial) => {
    const stream = stories.stream({ skipSpecial });
    const pieces = ids.map((id) => stream.push(id));
    for (const piece of pieces) assert(piece.isWellFormed());
    const kept = ids.filter((id) => !(skipSpecial && stories.isSpecial(id)));
    const bytes = Uint8Array.from(kept.flatMap((id) => [...stories.bytes(id)]));
    const whole = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    assertEquals(pieces.join("") + stream.flush(), whole);
    assertEquals(stories.decode(ids, { skipSpecial }), whole);
  }));
});

/** A word-level definition with the parts of a SentencePiece model around it. */
function sentencePieceDefinition(parts: Record<string, unknown>): unknown {
  return {
    added_tokens: [{ id: 0, content: "<s>", special: true }, { id: 5, content: "<mark>", special: false }],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: {
      type: "BPE",
      unk_token: null,
      byte_fallback: true,
      vocab: { "<s>": 0, "▁": 1, a: 2, "▁a": 3, "<0xC3>": 4, "<0xA9>": 6 },
      merges: [["▁", "a"]],
    },
    ...parts,
  };
}

Deno.test("SentencePiece decoders: space, bytes and the space before the first word", async () => {
  const decoders = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    { type: "Strip", content: " ", start: 1, stop: 0 },
  ];
  const tokenizer = await createHuggingFaceTokenizer(sentencePieceDefinition({
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    decoder: { type: "Sequence", decoders },
  }));
  assertEquals(tokenizer.encode("a aé"), [3, 3, 4, 6]);
  assertEquals(tokenizer.decode([0, 3, 3, 4, 6]), "a aé");
  assertEquals(tokenizer.decode([5, 3]), "<mark> a");
  const kept = huggingFaceTokenizer(
    sentencePieceDefinition({ decoder: { type: "Sequence", decoders: decoders.slice(0, 3) } }),
  );
  assertEquals(kept.decode([3, 3]), " a a");
});

Deno.test("Metaspace: the space is taken away only where it was put", () => {
  const decoded = (decoder: unknown) =>
    huggingFaceTokenizer(sentencePieceDefinition({ decoder })).decode([3, 3]);
  assertEquals(decoded({ type: "Metaspace", replacement: "▁" }), "a a");
  assertEquals(decoded({ type: "Metaspace", replacement: "▁", prepend_scheme: "never" }), " a a");
  assertEquals(decoded({ type: "Metaspace", replacement: "▁", add_prefix_space: false }), " a a");
});

Deno.test("WordPiece: words have spaces between them, their parts and punctuation have none", async () => {
  const tokenizer = await createHuggingFaceTokenizer({
    added_tokens: [{ id: 0, content: "[CLS]", special: true }, { id: 1, content: "[SEP]", special: true }],
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 1], cls: ["[CLS]", 0] },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: { "[CLS]": 0, "[SEP]": 1, "[UNK]": 2, token: 3, "##izer": 4, "##s": 5, ".": 6, good: 7 },
    },
  });
  const ids = tokenizer.encode("Good tokenizers.");
  assertEquals(ids, [0, 7, 3, 4, 5, 6, 1]);
  assertEquals(tokenizer.decode(ids), "good tokenizers.");
});

Deno.test("digits of every script are digits", async () => {
  const tokenizer = await createHuggingFaceTokenizer({
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Digits", individual_digits: true }, {
        type: "ByteLevel",
        add_prefix_space: false,
      }],
    },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    // "١" is D9 A1: were the two digits one word, the merge of A1 and D9 would apply.
    model: { type: "BPE", vocab: { "Ù": 0, "¡": 1, "¡Ù": 2 }, merges: ["¡ Ù"] },
  });
  assertEquals(tokenizer.encode("١١"), [0, 1, 0, 1]);
});

Deno.test("further ids that end generation, and texts that do by their name", () => {
  const tokenizer = huggingFaceTokenizer({
    ...definition,
    added_tokens: [...definition.added_tokens, { id: 2048, content: "<|im_end|>", special: true }],
  }, { config, eosIds: [7] });
  assertEquals([...tokenizer.eosIds], [0, 7, 2048]);
  assertEquals(tokenizer.vocabSize, 2049);
});

Deno.test("errors say what is wrong with the definition", () => {
  assertThrows(() => huggingFaceTokenizer({}), TokenizerError, "vocab");
  assertThrows(() => huggingFaceTokenizer(null), TokenizerError, "vocab");
  assertThrows(
    () => huggingFaceTokenizer({ ...definition, decoder: { type: "CTC" } }),
    TokenizerError,
    "CTC",
  );
  assertThrows(
    () => huggingFaceTokenizer(definition, { config: { chat_template: 5 } }),
    TokenizerError,
    "template",
  );
});

Deno.test("a damaged tokenizer.json is a typed error, whatever stands in a wrong place", () => {
  const model = { type: "BPE", vocab: { a: 0 }, merges: [] };
  const damaged = [
    { model: { ...model, vocab: { a: 1e308 } } },
    { model: { ...model, vocab: { a: 4_000_000_000 } } },
    { model: { ...model, vocab: [["a"]] } },
    { model, added_tokens: {} },
    { model, added_tokens: [null] },
    { model, added_tokens: [{ id: 2 ** 31, content: "x" }] },
    { model, decoder: { type: "Sequence", decoders: [null] } },
  ];
  for (const definition of damaged) assertThrows(() => huggingFaceTokenizer(definition), TokenizerError);
});

Deno.test("two texts of RoBERTa's are of one type, with two ends between them", async () => {
  const { json } = ENCODER_TOKENIZERS["byte-level BPE of RoBERTa"];
  const tokenizer = await createHuggingFaceTokenizer(await json());
  // As tokenizers 0.23 has it.
  assertEquals(tokenizer.encodePair?.(" the", "he"), {
    ids: [0, 262, 2, 2, 261, 2],
    tokenTypes: [0, 0, 0, 0, 0, 0],
  });
});
