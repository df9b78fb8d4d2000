/** Tokenizers in the other format's words give the same ids. @module */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { smallTokenizer } from "../../tests/support/small_tokenizer.ts";
import { InvalidFileError } from "../errors.ts";
import type { MetadataValue } from "../formats/model_file.ts";
import { EMBEDDED_TOKENIZER } from "../model_files.ts";
import { createGgufTokenizer } from "../tokenizer/gguf.ts";
import { TOKEN_TYPE } from "../tokenizer/gguf_fields.ts";
import { createHuggingFaceTokenizer } from "../tokenizer/hugging_face.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { vocabularyFields } from "./gguf_vocabulary.ts";
import { huggingFaceTokenizerFiles } from "./hugging_face_tokenizer.ts";

type Metadata = Record<string, MetadataValue>;

/** A SentencePiece vocabulary: bytes, letters, and pieces of them, the likelier with higher scores. */
function sentencePiece(): Metadata {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  const pieces = ["ab", "▁a", "▁ab", "ba", "bab", "▁▁", "cab", "▁cab", "abc", "é▁", "▁b", "ca"];
  const letters = ["▁", "a", "b", "c", "é"];
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...pieces, ...letters, "<|x|>"];
  const { unknown, control, byte, normal, userDefined } = TOKEN_TYPE;
  return {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.scores": Float32Array.from(tokens, (_, id) => id < 259 ? 0 : 258 - id),
    "tokenizer.ggml.token_type": Int32Array.from([
      ...[unknown, control, control],
      ...bytes.map(() => byte),
      ...[...pieces, ...letters].map(() => normal),
      userDefined,
    ]),
    "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
  };
}

const text = fc.string({
  unit: fc.constantFrom("a", "b", "c", " ", "é", "x", "🙂", "<|x|>", "</s>"),
  maxLength: 24,
});

function assertSameIds(a: Tokenizer, b: Tokenizer): void {
  fc.assert(fc.property(text, fc.boolean(), (text, parseSpecial) => {
    const ids = a.encode(text, { parseSpecial });
    assertEquals(b.encode(text, { parseSpecial }), ids);
    assertEquals(b.decode(ids), a.decode(ids));
  }));
}

/** The tokenizer of the folder that a GGUF file's vocabulary becomes. */
async function inFolder(metadata: Metadata): Promise<{ json: unknown; tokenizer: Tokenizer }> {
  const files = huggingFaceTokenizerFiles(metadata, "test");
  const json = files["tokenizer.json"];
  const config = files["tokenizer_config.json"] as Record<string, unknown>;
  return { json, tokenizer: await createHuggingFaceTokenizer(json, { config }) };
}

for (const addSpacePrefix of [true, false]) {
  Deno.test(`SentencePiece to tokenizer.json and back, ${addSpacePrefix ? "with" : "without"} a space in front`, async () => {
    const metadata = { ...sentencePiece(), "tokenizer.ggml.add_space_prefix": addSpacePrefix };
    const gguf = await createGgufTokenizer(metadata);
    const { json, tokenizer } = await inFolder(metadata);
    assertSameIds(gguf, tokenizer);
    const { "tokenizer.ggml.scores": scores, ...fields } = plain(json, 277);
    const again = await createGgufTokenizer({ ...metadata, ...fields, "tokenizer.ggml.scores": scores });
    assertSameIds(gguf, again);
  });
}

Deno.test("byte-level BPE to tokenizer.json and back", async () => {
  const fields = plain(smallTokenizer(300), 300);
  assertEquals(fields["tokenizer.ggml.pre"], "gpt-2");
  const gguf = await createGgufTokenizer(fields);
  const { json, tokenizer } = await inFolder(fields);
  assertSameIds(gguf, tokenizer);
  assertSameIds(gguf, await createGgufTokenizer(plain(json, 300)));
});

Deno.test("vocabularies of kinds that GGUF does not have are not written as another", () => {
  const { model, ...rest } = smallTokenizer(300);
  const json = { ...rest, model: { ...model as Record<string, unknown>, type: "WordLevel" } };
  assertEquals(plain(json, 300), { "tokenizer.ggml.model": "none" });
});

Deno.test("a tokenizer.json that is damaged is told with its file", () => {
  const metadata = { [EMBEDDED_TOKENIZER]: "{" };
  assertThrows(() => huggingFaceTokenizerFiles(metadata, "a.gguf"), InvalidFileError, "a.gguf");
});

/** The metadata of a tokenizer.json as a reader has them. */
function plain(json: unknown, size: number): Metadata {
  const fields = vocabularyFields(json as Parameters<typeof vocabularyFields>[0], size);
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) =>
      [key, typeof value === "object" && "of" in value ? value.values : value] as [string, MetadataValue]
    ),
  );
}
