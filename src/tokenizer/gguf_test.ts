import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { sharedUrl, testWithShared } from "../../tests/support/shared.ts";
import { TokenizerError } from "../errors.ts";
import { openModelFile } from "../formats/open.ts";
import { createGgufTokenizer, ggufTokenizer } from "./gguf.ts";
import { TOKEN_TYPE } from "./gguf_fields.ts";

interface Case {
  text: string;
  ids: number[];
  ids_no_special: number[];
  roundtrip: boolean;
}

const MODEL = "models/smollm2-135m-instruct-q4_1.gguf";

async function smollm2Metadata(): Promise<Record<string, unknown>> {
  const file = await openModelFile(sharedUrl(MODEL));
  file.close();
  return { ...file.metadata };
}

const cases: Case[] = JSON.parse(
  await Deno.readTextFile(new URL("../../tests/fixtures/tokenizers/smollm2.json", import.meta.url)),
).cases;

testWithShared(`SmolLM2 GGUF: ids and texts of ${cases.length} golden cases`, [MODEL], async () => {
  const tokenizer = await createGgufTokenizer(await smollm2Metadata());
  for (const { text, ids, ids_no_special, roundtrip } of cases) {
    assertEquals(tokenizer.encode(text, { addSpecial: false, parseSpecial: true }), ids, text);
    assertEquals(tokenizer.encode(text, { addSpecial: false }), ids_no_special, text);
    if (roundtrip) assertEquals(tokenizer.decode(ids, { skipSpecial: false }), text);
  }
});

testWithShared("SmolLM2 GGUF: special tokens, pieces and chat template", [MODEL], async () => {
  const tokenizer = ggufTokenizer(await smollm2Metadata());
  assertEquals(tokenizer.vocabSize, 49152);
  assertEquals(tokenizer.bosId, 1);
  assertEquals([...tokenizer.eosIds], [2, 0]);
  assert(tokenizer.isSpecial(2) && !tokenizer.isSpecial(3575));
  assertEquals(tokenizer.piece(3575), " capital");
  assertEquals(tokenizer.decode([1, 4093, 2]), "user");
  assertEquals(
    await tokenizer.applyChatTemplate([{ role: "system", content: "Be brief." }, {
      role: "user",
      content: "Hi",
    }]),
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
  );
});

/** A SentencePiece vocabulary: `<unk>`, `<s>`, `</s>`, the 256 bytes, words by score, characters, an added token. */
function sentencePieceMetadata(): Record<string, unknown> {
  const vocabulary: [token: string, score: number, type: number][] = [
    ["<unk>", 0, TOKEN_TYPE.unknown],
    ["<s>", 0, TOKEN_TYPE.control],
    ["</s>", 0, TOKEN_TYPE.control],
  ];
  for (let byte = 0; byte < 256; byte++) {
    vocabulary.push([`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, 0, TOKEN_TYPE.byte]);
  }
  const words = ["▁t", "he", "▁the", "in", "▁a", "er", "aa", "ab", "ba", "xy", "aba"];
  const scores = [-1, -2, -3, -4, -5, -6, -7, -8, -8, -9, -10];
  words.forEach((word, i) => vocabulary.push([word, scores[i], TOKEN_TYPE.normal]));
  [..."▁theinrab"].forEach((letter, i) => vocabulary.push([letter, -20 - i, TOKEN_TYPE.normal]));
  vocabulary.push(["<tool>", -1000, TOKEN_TYPE.userDefined]);
  return {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": vocabulary.map(([token]) => token),
    "tokenizer.ggml.scores": Float32Array.from(vocabulary, ([, score]) => score),
    "tokenizer.ggml.token_type": Int32Array.from(vocabulary, ([, , type]) => type),
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.unknown_token_id": 0,
  };
}

// Ids that llama.cpp gives for this vocabulary: with and without a space before the text.
const SENTENCE_PIECE: readonly [text: string, withPrefix: number[], without: number[]][] = [
  ["", [], []],
  ["the", [261], [271, 260]],
  // "he" is better than "er", so it is taken first.
  ["there", [261, 276, 273], [271, 260, 276, 273]],
  ["a", [263], [277]],
  ["aaa", [263, 265], [265, 277]],
  // "ab" and "ba" have the same score: the left one merges, and then the whole.
  ["aba", [263, 267], [269]],
  // "x" and "y" are no tokens, "xy" is one all the same.
  ["xy", [270, 268], [268]],
  ["x", [270, 123], [123]],
  ["é the", [270, 198, 172, 261], [198, 172, 261]],
  [" the", [270, 261], [261]],
  ["the</s>the", [261, 63, 50, 118, 65, 271, 260], [271, 260, 63, 50, 118, 65, 271, 260]],
  ["the<tool>in", [261, 279, 270, 262], [271, 260, 279, 262]],
  ["  a", [270, 270, 263], [270, 263]],
  ["the\nthe", [261, 13, 271, 260], [271, 260, 13, 271, 260]],
  ["🏳", [270, 243, 162, 146, 182], [243, 162, 146, 182]],
  ["inner theaba", [270, 262, 275, 264, 261, 269], [262, 275, 264, 261, 269]],
];

Deno.test("a SentencePiece vocabulary merges by score, as llama.cpp does", async () => {
  const metadata = sentencePieceMetadata();
  const prefixed = await createGgufTokenizer(metadata);
  const bare = await createGgufTokenizer({ ...metadata, "tokenizer.ggml.add_space_prefix": false });
  for (const [text, withPrefix, without] of SENTENCE_PIECE) {
    assertEquals(prefixed.encode(text), [1, ...withPrefix], text);
    assertEquals(bare.encode(text, { addSpecial: false }), without, text);
    assertEquals(bare.decode(without), text);
    // llama.cpp puts a space after every added token too, and nothing takes those away again.
    if (!text.includes("<tool>")) assertEquals(prefixed.decode(withPrefix), text);
  }
});

Deno.test("a SentencePiece token that spans words is found", async () => {
  const metadata = sentencePieceMetadata();
  const tokenizer = await createGgufTokenizer({
    ...metadata,
    "tokenizer.ggml.tokens": [...metadata["tokenizer.ggml.tokens"] as string[], "a▁t"],
    "tokenizer.ggml.scores": [...metadata["tokenizer.ggml.scores"] as Float32Array, -0.5],
    "tokenizer.ggml.token_type": [...metadata["tokenizer.ggml.token_type"] as Int32Array, TOKEN_TYPE.normal],
    "tokenizer.ggml.add_space_prefix": false,
  });
  assertEquals(tokenizer.encode("ba the", { addSpecial: false }), [278, 280, 260]);
});

Deno.test("special tokens in a SentencePiece text count only when asked for", async () => {
  const tokenizer = await createGgufTokenizer(sentencePieceMetadata());
  const ids = tokenizer.encode("the</s>the", { parseSpecial: true });
  assertEquals(ids, [1, 261, 2, 261]);
  assertEquals(tokenizer.decode(ids), "the the");
  assertEquals(tokenizer.decode(ids, { skipSpecial: false }), "<s> the</s> the");
  assertEquals(tokenizer.decode([261, 261]), "the the");
  assertEquals(tokenizer.decode([261, 261], { continuation: true }), " the the");
  assertEquals(tokenizer.piece(261), " the");
  assertEquals(tokenizer.piece(198), "<0xC3>");
  assertEquals([...tokenizer.bytes(198)], [0xc3]);
});

Deno.test("add_bos_token and add_eos_token decide what encode puts around a text", async () => {
  const metadata = sentencePieceMetadata();
  const options = { "tokenizer.ggml.add_bos_token": false, "tokenizer.ggml.add_eos_token": true };
  const tokenizer = await createGgufTokenizer({ ...metadata, ...options });
  assertEquals(tokenizer.encode("the"), [261, 2]);
  assertEquals(tokenizer.encode("the", { addSpecial: false }), [261]);
});

/** Byte-level BPE with the merges `a b` and `ab c`; "bc" and the whole "abcc" are tokens that no merge makes. */
function byteLevelMetadata(pre: string) {
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": pre,
    "tokenizer.ggml.tokens": ["a", "b", "c", "Ġ", "ab", "abc", "bc", "abcc", "<|eot_id|>"],
    "tokenizer.ggml.token_type": [1, 1, 1, 1, 1, 1, 1, 1, 3],
    "tokenizer.ggml.merges": ["a b", "ab c"],
    "tokenizer.ggml.bos_token_id": 3n,
  };
}

Deno.test("byte-level BPE merges what the file lists; Llama 3 keeps whole tokens whole and adds BOS", async () => {
  const gpt2 = await createGgufTokenizer(byteLevelMetadata("gpt-2"));
  assertEquals(gpt2.encode("abcc bc"), [5, 2, 3, 1, 2]);
  assertEquals([...gpt2.eosIds], [8]);
  const llama3 = await createGgufTokenizer(byteLevelMetadata("llama-bpe"));
  assertEquals(llama3.encode("abcc"), [3, 7]);
});

Deno.test("packed strings are decoded one by one for text, and all at once for the encoder", async () => {
  const { "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": merges, ...metadata } = byteLevelMetadata(
    "gpt-2",
  );
  const reads: (number | string)[] = [];
  const packed = (list: string[], name: string) => ({
    length: list.length,
    at: (index: number) => (reads.push(index), list[index]),
    [Symbol.iterator]: () => (reads.push(name), list[Symbol.iterator]()),
  });
  const tokenizer = ggufTokenizer(
    metadata,
    new Map([
      ["tokenizer.ggml.tokens", packed(tokens, "tokens")],
      ["tokenizer.ggml.merges", packed(merges, "merges")],
    ]),
  );
  reads.length = 0;
  assertEquals(tokenizer.decode([5, 3, 6]), "abc bc");
  assertEquals(reads, [5, 3, 6]);
  await tokenizer.prepare();
  assert(reads.includes("tokens") && reads.includes("merges"));
  assertEquals(tokenizer.encode("abc"), [5]);
});

Deno.test("an id without a token is no text; encoding before prepare is refused", () => {
  const tokenizer = ggufTokenizer(byteLevelMetadata("gpt-2"));
  assertEquals(tokenizer.decode([0, 999, 1]), "ab");
  assertEquals(tokenizer.piece(999), "");
  assertThrows(() => tokenizer.encode("a"), TokenizerError, "prepare");
});

Deno.test("errors name what is wrong with the metadata", async () => {
  const good = byteLevelMetadata("gpt-2");
  const thrown = (change: Record<string, unknown>) =>
    assertThrows(() => ggufTokenizer({ ...good, ...change }), TokenizerError).message;
  assert(thrown({ "tokenizer.ggml.pre": "no-such" }).includes('"no-such"'));
  assert(thrown({ "tokenizer.ggml.model": "rwkv" }).includes('"rwkv"'));
  assert(thrown({ "tokenizer.ggml.model": "llama" }).includes("tokenizer.ggml.scores"));
  assert(thrown({ "tokenizer.ggml.tokens": undefined }).includes("tokenizer.ggml.tokens"));
  assert(thrown({ "tokenizer.ggml.tokens": 5 }).includes("array of strings"));
  assert(thrown({ "tokenizer.ggml.token_type": [1] }).includes("1 entries for 9 tokens"));
  const noMerges = ggufTokenizer({ ...good, "tokenizer.ggml.merges": undefined });
  await assertRejects(() => noMerges.prepare(), TokenizerError, "tokenizer.ggml.merges");
  await assertRejects(() => noMerges.applyChatTemplate([]), TokenizerError, "no chat template");
});
