import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { NaiveTokenizer } from "../tokenizer/naive.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { promptIds, transcript } from "./prompt.ts";

const PIECES = ["", "a", "b", "ab", "ba", "aab", "<|end|>", "é"];

/** A vocabulary of a few pieces; encodes with the longest that fits. */
const tokenizer: Tokenizer = Object.assign(Object.create(new NaiveTokenizer()) as Tokenizer, {
  encode(text: string): number[] {
    const ids: number[] = [];
    for (let at = 0; at < text.length;) {
      const fitting = PIECES.map((piece, id) => ({ piece, id })).filter(({ piece }) =>
        piece !== "" && text.startsWith(piece, at)
      );
      const { id, piece } = fitting.reduce((a, b) => b.piece.length > a.piece.length ? b : a);
      ids.push(id);
      at += piece.length;
    }
    return ids;
  },
  bytes: (id: number) => new TextEncoder().encode(PIECES[id]),
});

const textOf = (ids: readonly number[]): string => ids.map((id) => PIECES[id]).join("");
const someIds = fc.array(fc.integer({ min: 1, max: PIECES.length - 1 }), { maxLength: 12 });

Deno.test("a prompt has the tokens that were generated, where its text goes on from them", () => {
  const before = { ids: [1, 1, 2, 6, 1], text: "aab<|end|>a" };
  assertEquals(promptIds(tokenizer, "aab<|end|>a<|end|>b", before), [1, 1, 2, 6, 1, 6, 2]);
  assertEquals(promptIds(tokenizer, "aab<|end|>a<|end|>b", undefined), [5, 6, 1, 6, 2]);
});

Deno.test("a prompt that turns away keeps the tokens before that", () => {
  const before = { ids: [1, 1, 2, 6, 1, 6, 1], text: "aab<|end|>a<|end|>a" };
  assertEquals(promptIds(tokenizer, "aab<|end|>b", before), [1, 1, 2, 6, 2]);
  assertEquals(promptIds(tokenizer, "b", before), [2]);
});

Deno.test("whatever was said before, a prompt's tokens are its text", () => {
  fc.assert(fc.property(someIds, someIds, fc.nat(12), (known, more, keep) => {
    const before = { ids: known, text: textOf(known) };
    const prompt = textOf(known.slice(0, keep)) + textOf(more);
    assertEquals(textOf(promptIds(tokenizer, prompt, before)), prompt);
  }));
});

Deno.test("a special token after what was said leaves all of its tokens as they were", () => {
  fc.assert(fc.property(someIds, someIds, (known, more) => {
    const ids = promptIds(tokenizer, `${textOf(known)}<|end|>${textOf(more)}`, {
      ids: known,
      text: textOf(known),
    });
    assertEquals(ids.slice(0, known.length), known);
  }));
});

Deno.test("an answer whose tokens are more than its text is no place to go on from", () => {
  const prompt = { ids: [1], text: "a" };
  assertEquals(transcript(tokenizer, prompt, { ids: [2, 3], text: "bab" }), { ids: [1, 2, 3], text: "abab" });
  assertEquals(transcript(tokenizer, prompt, { ids: [2, 3], text: "ba" }), undefined);
  assertEquals(transcript(tokenizer, prompt, { ids: [], text: "" }), prompt);
});
