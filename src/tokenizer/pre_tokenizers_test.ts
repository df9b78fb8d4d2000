import { assert, assertEquals, assertThrows } from "@std/assert";
import { SequencePreTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { TokenizerError } from "../errors.ts";
import { byteLevelPreTokenizer, findPreTokenizer, PRE_TOKENIZERS } from "./pre_tokenizers.ts";
import { byteLevelSpelling } from "./vocabulary.ts";

/** The pieces that a text is cut into. */
function cut(name: string, text: string): string[] {
  // deno-lint-ignore no-explicit-any -- the library has no common type for its parts
  const preTokenizer = new SequencePreTokenizer(byteLevelPreTokenizer(findPreTokenizer(name)) as any);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const pieces: string[] = preTokenizer.pre_tokenize_text(text, {});
  return pieces.map((piece) => decoder.decode(byteLevelSpelling.bytes(piece)));
}

const TEXT = "I'LL pay 12345,67€ for  HelloWorld\n\nnow";

const CUTS: Readonly<Record<string, string[]>> = {
  "gpt-2": ["I", "'", "LL", " pay", " 12345", ",", "67", "€", " for", " ", " HelloWorld", "\n", "\n", "now"],
  smollm: [
    ...["I", "'", "LL", " pay", " ", "1", "2", "3", "4", "5", ",", "6", "7", "€", " for", " ", " HelloWorld"],
    ...["\n", "\n", "now"],
  ],
  "llama-bpe": [
    ...["I", "'LL", " pay", " ", "123", "45", ",", "67", "€", " for", " ", " HelloWorld", "\n\n", "now"],
  ],
  qwen2: [
    ...["I", "'LL", " pay", " ", "1", "2", "3", "4", "5", ",", "6", "7", "€", " for", " ", " HelloWorld"],
    ...["\n\n", "now"],
  ],
  "gpt-4o": [
    ...["I'LL", " pay", " ", "123", "45", ",", "67", "€", " for", " ", " Hello", "World", "\n\n", "now"],
  ],
};

for (const [name, pieces] of Object.entries(CUTS)) {
  Deno.test(`${name} cuts text as the model's tokenizer does`, () => {
    assertEquals(cut(name, TEXT), pieces);
  });
}

Deno.test("every pre-tokenizer keeps all of a text, and names are unique", () => {
  const names = PRE_TOKENIZERS.flatMap(({ names }) => names);
  assertEquals(new Set(names).size, names.length);
  for (const { names: [name] } of PRE_TOKENIZERS) {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const pieces = cut(name, text);
        assertEquals(pieces.join(""), text);
        assert(pieces.every((piece) => piece !== ""));
      }),
      { numRuns: 50 },
    );
    assertEquals(cut(name, TEXT).join(""), TEXT);
  }
});

Deno.test("an unknown pre-tokenizer is an error that names it", () => {
  assertThrows(() => findPreTokenizer("wordless"), TokenizerError, '"wordless"');
});
