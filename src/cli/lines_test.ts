import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { InvalidFileError } from "../errors.ts";
import { openSource } from "../formats/source.ts";
import { isWhole, readLines } from "./lines.ts";

/** Line feeds among a few other bytes, and runs that are longer than what is read at once. */
const bytes = fc.array(
  fc.oneof(
    fc.uint8Array({ max: 12, maxLength: 40 }),
    fc.tuple(fc.integer({ min: 65500, max: 65600 }), fc.constantFrom(10, 32))
      .map(([length, last]) => new Uint8Array(length).fill(32).fill(last, length - 1)),
  ),
  { maxLength: 6 },
).map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])));

Deno.test("lines put together are the file, and each but the last ends in its only line feed", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, async (file) => {
      const lines = await Array.fromAsync(readLines(await openSource(file)));
      assertEquals(new Uint8Array(await new Blob(lines.map((line) => line.slice())).arrayBuffer()), file);
      for (const [i, line] of lines.entries()) {
        const feed = line.indexOf(10);
        assert(feed === line.length - 1 || (feed < 0 && i === lines.length - 1));
        assertEquals(isWhole(line), feed >= 0);
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("a file without line breaks is refused before it fills the memory", async () => {
  let read = 0;
  const source = {
    name: "spaces",
    size: 2 ** 40,
    read: (_: number, length: number) => Promise.resolve(new Uint8Array(read = length)),
  };
  await assertRejects(() => Array.fromAsync(readLines(source)), InvalidFileError, "longer than");
  assert(read > 0 && read <= 1 << 16);
});
