import { assertEquals } from "@std/assert";
import { linesOf, TurnReader } from "./turns.ts";

function turns(lines: readonly string[]): string[] {
  const reader = new TurnReader();
  const all = lines.map((line) => reader.push(line));
  return [...all.filter((turn) => turn !== undefined), ...(reader.open ? [reader.flush()] : [])];
}

Deno.test("each line is a turn", () => {
  assertEquals(turns(["one", "", "two"]), ["one", "", "two"]);
});

Deno.test("a line that ends in a backslash goes on in the next", () => {
  assertEquals(turns(["one\\", "two\\", "three", "four"]), ["one\ntwo\nthree", "four"]);
  assertEquals(turns(["one\\"]), ["one"]);
});

Deno.test("lines between two fences are one turn, backslashes and empty lines included", () => {
  assertEquals(turns(['"""', "one\\", "", "/two", '"""', "three"]), ["one\\\n\n/two", "three"]);
  assertEquals(turns(['"""', "one", "two"]), ["one\ntwo"]);
  assertEquals(turns(["one\\", '"""']), ['one\n"""']);
});

Deno.test("lines are found however the bytes come", async () => {
  const bytes = new TextEncoder().encode("één\r\ntwo\n\nlast");
  for (const size of [1, 2, 3, 100]) {
    const parts = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    );
    assertEquals(await Array.fromAsync(linesOf(ReadableStream.from(parts))), ["één", "two", "", "last"]);
  }
});
