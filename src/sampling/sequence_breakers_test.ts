import { assertEquals, assertThrows } from "@std/assert";
import { InvalidArgumentError } from "../errors.ts";
import type { SamplingOptions } from "./options.ts";
import { withBreakerIds } from "./sequence_breakers.ts";

const PIECES = ["a", "\n", "b\n\n", ":", "é", "é:", "*"];
const encoder = new TextEncoder();
const tokenizer = { vocabSize: PIECES.length, bytes: (id: number) => encoder.encode(PIECES[id]) };

Deno.test("a text stands for every token that contains it; ids stay", () => {
  const options = { dryMultiplier: 1, drySequenceBreakers: [":", 0, [3, 4], "é"] };
  assertEquals(withBreakerIds(options, tokenizer).drySequenceBreakers, [0, [3, 4], 3, 5, 4]);
});

Deno.test("without a choice: line end, colon, quotation mark, asterisk, as far as there are tokens for them", () => {
  const options: SamplingOptions = { dryMultiplier: 1 };
  assertEquals(withBreakerIds(options, tokenizer).drySequenceBreakers, [1, 2, 3, 5, 6]);
});

Deno.test("a vocabulary is read once for the same texts", () => {
  let read = 0;
  const counting = { ...tokenizer, bytes: (id: number) => (read++, tokenizer.bytes(id)) };
  const [usual, other] = [{ dryMultiplier: 1 }, { dryMultiplier: 1, drySequenceBreakers: [":"] }];
  const all = [usual, usual, other, other, usual].map((options) =>
    withBreakerIds<SamplingOptions>(options, counting).drySequenceBreakers
  );
  assertEquals(all, [[1, 2, 3, 5, 6], [1, 2, 3, 5, 6], [3, 5], [3, 5], [1, 2, 3, 5, 6]]);
  assertEquals(read, 3 * PIECES.length);
});

Deno.test("nothing is looked up where DRY is off or there is no tokenizer", () => {
  const off = { drySequenceBreakers: ["never"] };
  assertEquals(withBreakerIds(off, tokenizer), off);
  assertEquals(withBreakerIds({ dryMultiplier: 1 }, undefined), { dryMultiplier: 1 });
});

Deno.test("a text that no token contains is refused", () => {
  for (const text of ["never", ""]) {
    const options = { dryMultiplier: 1, drySequenceBreakers: [text] };
    assertThrows(() => withBreakerIds(options, tokenizer), InvalidArgumentError, JSON.stringify(text));
  }
});
