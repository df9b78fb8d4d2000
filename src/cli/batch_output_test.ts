import { assert, assertEquals } from "@std/assert";
import { BatchOutput } from "./batch_output.ts";

/** The longest read and the sum of all while something runs. */
async function watchReads(run: () => Promise<void>): Promise<{ longest: number; total: number }> {
  const { read, readSync } = Deno.FsFile.prototype;
  let [longest, total] = [0, 0];
  const note = (into: Uint8Array): void => {
    longest = Math.max(longest, into.length);
    total += into.length;
  };
  Deno.FsFile.prototype.read = function (into) {
    note(into);
    return read.call(this, into);
  };
  Deno.FsFile.prototype.readSync = function (into) {
    note(into);
    return readSync.call(this, into);
  };
  try {
    await run();
  } finally {
    Object.assign(Deno.FsFile.prototype, { read, readSync });
  }
  return { longest, total };
}

Deno.test("a large file is gone on with piece by piece, behind its last whole line", async () => {
  const path = await Deno.makeTempFile();
  try {
    const text = "a word ".repeat(7000);
    const lines = Array.from(
      { length: 1000 },
      (_, index) => JSON.stringify(index % 10 === 3 ? { index, error: {} } : { index, id: `${index}`, text }),
    );
    const whole = lines.map((line) => `${line}\n`).join("");
    await Deno.writeTextFile(path, `${whole}{"index":1000,"te`);
    const { size } = await Deno.stat(path);
    const { longest, total } = await watchReads(async () => {
      using output = await BatchOutput.open(path);
      assertEquals([output.lines, output.failed], [1000, 100]);
      assertEquals(output.ids.slice(0, 5), ["0", "1", "2", undefined, "4"]);
      output.add(1000, { index: 1000, id: "next" });
    });
    assert(total >= size && longest <= 1 << 20, `${longest} of ${size} bytes were read at once`);
    assertEquals(await Deno.readTextFile(path), `${whole}{"index":1000,"id":"next"}\n`);
  } finally {
    await Deno.remove(path);
  }
});
