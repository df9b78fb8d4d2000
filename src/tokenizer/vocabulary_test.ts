import { assertEquals } from "@std/assert";
import { readableBytes } from "./utf8.ts";
import { byteLevelSpelling, plainSpelling, sentencePieceSpelling } from "./vocabulary.ts";

Deno.test("the byte-level alphabet has a character for every byte", () => {
  assertEquals([...byteLevelSpelling.bytes("ĠaĊ!ÿ¡Ń")], [0x20, 0x61, 0x0a, 0x21, 0xff, 0xa1, 0xad]);
  assertEquals([...byteLevelSpelling.bytes("Ā")], [0]);
  // Outside the alphabet a character is its own text.
  assertEquals([...byteLevelSpelling.bytes("日")], [0xe6, 0x97, 0xa5]);
});

Deno.test("SentencePiece tokens are text, spaces or single bytes", () => {
  const spelling = sentencePieceSpelling({ stripLeadingSpace: true, byteFallback: true });
  assertEquals([...spelling.bytes("▁a")], [0x20, 0x61]);
  assertEquals([...spelling.bytes("<0xE2>")], [0xe2]);
  const plain = sentencePieceSpelling({ stripLeadingSpace: true, byteFallback: false });
  assertEquals([...plain.bytes("<0xE2>")], [...plainSpelling.bytes("<0xE2>")]);
});

Deno.test("bytes that are no whole character are shown by number", () => {
  assertEquals(readableBytes(Uint8Array.of(0xe2, 0x80)), "<0xE2><0x80>");
  assertEquals(readableBytes(Uint8Array.of(0x61, 0xc3, 0xa9, 0xff)), "aé<0xFF>");
  assertEquals(readableBytes(Uint8Array.of(0xf0, 0x9f, 0x98, 0x80, 0x0a)), "😀\n");
});
