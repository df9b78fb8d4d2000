/** Tokenizers of encoders in GGUF's words, and those made of these again, give the ids of the tokenizer.json that they came from. @module */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ENCODER_TOKENIZERS } from "../../tests/support/encoder_tokenizers.ts";
import { MODELS } from "../../tests/support/goldens.ts";
import { TokenizerError } from "../errors.ts";
import type { MetadataValue } from "../formats/model_file.ts";
import { openModelFile } from "../formats/open.ts";
import { EMBEDDED_TOKENIZER } from "../model_files.ts";
import { describeModel } from "../models/describe.ts";
import { createGgufTokenizer } from "../tokenizer/gguf.ts";
import { createHuggingFaceTokenizer } from "../tokenizer/hugging_face.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { tokenizerFields } from "./gguf_tokenizer.ts";
import { vocabularyFields } from "./gguf_vocabulary.ts";
import { huggingFaceTokenizerFiles } from "./hugging_face_tokenizer.ts";

type Metadata = Record<string, MetadataValue>;

/** What a GGUF file says of a tokenizer, for readers that do not know of a whole tokenizer.json in it. */
async function metadataOf(model: string, json: unknown): Promise<Metadata> {
  const file = await openModelFile(new URL(`${model}/`, MODELS));
  file.close();
  const { config } = await describeModel(file);
  const { [EMBEDDED_TOKENIZER]: _, ...fields } = await tokenizerFields(
    { ...file, tokenizerJson: () => Promise.resolve(json) },
    config,
  );
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) =>
      [key, typeof value === "object" && "of" in value ? typed(key, value.values) : value] as [
        string,
        MetadataValue,
      ]
    ),
  );
}

/** Numbers as a file's reader gives them. */
function typed(key: string, values: readonly unknown[]): MetadataValue {
  return key.endsWith("charsmap") ? Uint8Array.from(values as number[]) : values as MetadataValue;
}

const words = [
  "the",
  "red",
  "House",
  "cats",
  "é",
  "x",
  "  ",
  ",",
  "don't",
  "[MASK]",
  "<mask>",
  "<extra>",
  "の",
];
const textOf = (minLength: number) =>
  fc.array(fc.constantFrom(...words, " "), { minLength, maxLength: 8 }).map((parts) => parts.join(" "));

function assertSameIds(expected: Tokenizer, found: Tokenizer): void {
  // The library takes an empty second text for none.
  fc.assert(fc.property(textOf(0), textOf(1), (first, second) => {
    const ids = expected.encode(first);
    assertEquals(found.encode(first), ids);
    assertEquals(found.encode(first, { addSpecial: false }), expected.encode(first, { addSpecial: false }));
    assertEquals(found.encodePair?.(first, second), expected.encodePair?.(first, second));
    assertEquals(found.decode(ids), expected.decode(ids));
  }));
}

for (const [name, { model, json, kind }] of Object.entries(ENCODER_TOKENIZERS)) {
  Deno.test(`${name} to GGUF and back`, async () => {
    const definition = await json();
    const expected = await createHuggingFaceTokenizer(definition);
    const metadata = await metadataOf(model, definition);
    assertEquals(metadata["tokenizer.ggml.model"], kind);
    assertSameIds(expected, await createGgufTokenizer(metadata));
    const files = huggingFaceTokenizerFiles(metadata, "test");
    const config = files["tokenizer_config.json"] as Record<string, unknown>;
    assertSameIds(expected, await createHuggingFaceTokenizer(files["tokenizer.json"], { config }));
    // What was made is the same vocabulary again.
    const size = (metadata["tokenizer.ggml.tokens"] as unknown[]).length;
    const again = vocabularyFields(files["tokenizer.json"] as Parameters<typeof vocabularyFields>[0], size);
    for (const key of ["tokens", "scores", "precompiled_charsmap"].map((part) => `tokenizer.ggml.${part}`)) {
      const value = again[key];
      const values = typeof value === "object" && "of" in value ? typed(key, value.values) : value;
      assertEquals(values, metadata[key], key);
    }
  });
}

Deno.test("a table of characters that is damaged is a typed error", async () => {
  const definition = await ENCODER_TOKENIZERS["Unigram of XLM-RoBERTa"].json();
  const damaged = { type: "Precompiled", precompiled_charsmap: "\u2581" };
  const write = () => vocabularyFields({ ...definition, normalizer: damaged }, 256);
  assertThrows(write, TokenizerError, "base64");
});
