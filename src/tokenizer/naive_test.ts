import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidArgumentError, TokenizerError } from "../errors.ts";
import { NaiveTokenizer } from "./naive.ts";

Deno.test("bytes are ids", () => {
  const tokenizer = new NaiveTokenizer();
  assertEquals(tokenizer.encode("é!"), [0xc3, 0xa9, 0x21]);
  assertEquals(tokenizer.decode([0xc3, 0xa9, 0x21]), "é!");
  assertEquals(tokenizer.vocabSize, 256);
  assertEquals(tokenizer.piece(0xc3), "<0xC3>");
  assertEquals(tokenizer.piece(0x41), "A");
});

Deno.test("BOS and EOS come after the bytes", () => {
  const tokenizer = new NaiveTokenizer({ bos: true, eos: true });
  assertEquals(tokenizer.encode("a"), [256, 97]);
  assertEquals(tokenizer.encode("a", { addSpecial: false }), [97]);
  assertEquals(tokenizer.encode("a</s>", { parseSpecial: true }), [256, 97, 257]);
  assertEquals(tokenizer.encode("</s>", { addSpecial: false }), [60, 47, 115, 62]);
  assertEquals(tokenizer.decode([256, 97, 257]), "a");
  assertEquals(tokenizer.decode([256, 97, 257], { skipSpecial: false }), "<s>a</s>");
  assertEquals([...tokenizer.eosIds], [257]);
  assertEquals([...new NaiveTokenizer({ eos: true }).eosIds], [256]);
});

Deno.test("a character is given when it is whole, a broken one at the end", () => {
  const stream = new NaiveTokenizer().stream();
  assertEquals([0xf0, 0x9f, 0x98, 0x80].map((id) => stream.push(id)), ["", "", "", "😀"]);
  assertEquals(stream.push(0xe2), "");
  assertEquals(stream.flush(), "\ufffd");
});

Deno.test("decode undoes encode for every Unicode text", () => {
  const tokenizer = new NaiveTokenizer({ bos: true });
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assertEquals(tokenizer.decode(tokenizer.encode(text)), text);
  }));
});

Deno.test("streaming gives what a whole decoding gives, for any bytes", () => {
  const tokenizer = new NaiveTokenizer();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    const stream = tokenizer.stream();
    const pieces = [...bytes].map((byte) => stream.push(byte));
    for (const piece of pieces) assert(piece.isWellFormed());
    assertEquals(
      pieces.join("") + stream.flush(),
      new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
    );
  }));
});

Deno.test("what bytes cannot do", async () => {
  const tokenizer = new NaiveTokenizer();
  assertThrows(() => tokenizer.bytes(-1), InvalidArgumentError);
  await assertRejects(() => tokenizer.applyChatTemplate(), TokenizerError, "plain prompt");
});
