import { assertEquals } from "@std/assert";
import { createGgufTokenizer } from "./gguf.ts";
import { TOKEN_TYPE } from "./gguf_fields.ts";
import { createHuggingFaceTokenizer } from "./hugging_face.ts";

const FOLDER = new URL("../../tests/fixtures/models/bert-rerank/", import.meta.url);
const TEXTS = ["the red house", "What is a CAT?", "", "a  dog [SEP] runs", "unknown words", "é the"];

/** A WordPiece `tokenizer.json` and the same vocabulary as llama.cpp's converter writes it. */
async function wordPieces() {
  const definition = JSON.parse(await Deno.readTextFile(new URL("tokenizer.json", FOLDER)));
  const vocab: Record<string, number> = definition.model.vocab;
  vocab["##s"] = Object.keys(vocab).length;
  const special: string[] = definition.added_tokens.map(({ content }: { content: string }) => content);
  const tokens = Object.keys(vocab).map((token) =>
    special.includes(token) ? token : token.startsWith("##") ? token.slice(2) : `▁${token}`
  );
  const metadata = {
    "tokenizer.ggml.model": "bert",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": Int32Array.from(
      tokens,
      (token) => special.includes(token) ? TOKEN_TYPE.control : TOKEN_TYPE.normal,
    ),
    "tokenizer.ggml.cls_token_id": vocab["[CLS]"],
    "tokenizer.ggml.seperator_token_id": vocab["[SEP]"],
    "tokenizer.ggml.unknown_token_id": vocab["[UNK]"],
  };
  return { definition, metadata };
}

Deno.test("a WordPiece vocabulary in GGUF gives the ids of its tokenizer.json", async () => {
  const { definition, metadata } = await wordPieces();
  const expected = await createHuggingFaceTokenizer(definition);
  const found = await createGgufTokenizer(metadata);
  for (const text of [...TEXTS, "cats dogs"]) {
    assertEquals(found.encode(text), expected.encode(text), text);
    assertEquals(found.encodePair?.("how many", text), expected.encodePair?.("how many", text), text);
    assertEquals(found.decode(found.encode(text)), expected.decode(expected.encode(text)), text);
  }
});

Deno.test("a token may have a name that every object has", async () => {
  const { metadata } = await wordPieces();
  const tokens = [...metadata["tokenizer.ggml.tokens"], "▁__proto__"];
  const types = [...metadata["tokenizer.ggml.token_type"], TOKEN_TYPE.normal];
  const tokenizer = await createGgufTokenizer({
    ...metadata,
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": types,
  });
  assertEquals([tokenizer.vocabSize, tokenizer.piece(tokens.length - 1)], [tokens.length, " __proto__"]);
});

/** A Unigram vocabulary in which words and their parts compete. */
const UNIGRAM: readonly [token: string, score: number, type: number][] = [
  ["<pad>", 0, TOKEN_TYPE.control],
  ["</s>", 0, TOKEN_TYPE.control],
  ["<unk>", 0, TOKEN_TYPE.unknown],
  ["▁the", -2, TOKEN_TYPE.normal],
  ["▁", -3, TOKEN_TYPE.normal],
  ["t", -4, TOKEN_TYPE.normal],
  ["he", -3.5, TOKEN_TYPE.normal],
  ["▁t", -3.2, TOKEN_TYPE.normal],
  ["re", -2.5, TOKEN_TYPE.normal],
  ["here", -7, TOKEN_TYPE.normal],
];

const unigramMetadata = {
  "tokenizer.ggml.model": "t5",
  "tokenizer.ggml.tokens": UNIGRAM.map(([token]) => token),
  "tokenizer.ggml.scores": Float32Array.from(UNIGRAM, ([, score]) => score),
  "tokenizer.ggml.token_type": Int32Array.from(UNIGRAM, ([, , type]) => type),
  "tokenizer.ggml.eos_token_id": 1,
  "tokenizer.ggml.unknown_token_id": 2,
};

Deno.test("a Unigram vocabulary in GGUF cuts a text the likeliest way and ends it", async () => {
  const tokenizer = await createGgufTokenizer(unigramMetadata);
  // ▁the + re (-4.5) beats ▁t + here (-10.2) and ▁t + he + re (-9.2).
  assertEquals(tokenizer.encode("there"), [3, 8, 1]);
  assertEquals(tokenizer.encode("the  the", { addSpecial: false }), [3, 3]);
  assertEquals(tokenizer.encodePair?.("the", "the"), { ids: [3, 1, 3, 1], tokenTypes: [0, 0, 0, 0] });
  assertEquals(tokenizer.decode([3, 8, 1]), "there");
});

Deno.test("a Unigram vocabulary with a begin is XLM-RoBERTa's", async () => {
  const tokenizer = await createGgufTokenizer({
    ...unigramMetadata,
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.add_bos_token": true,
  });
  assertEquals(tokenizer.encode("the"), [0, 3, 1]);
  assertEquals(tokenizer.encodePair?.("the", "the").ids, [0, 3, 1, 1, 3, 1]);
});
