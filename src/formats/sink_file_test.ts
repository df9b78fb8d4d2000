/** Files that are written appear whole or not at all. @module */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { withFolder } from "../../tests/support/goldens.ts";
import { InvalidFileError } from "../errors.ts";
import { fileSink } from "./sink_file.ts";

const namesIn = (folder: string): string[] => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

Deno.test("a file takes its place with finish, in place of what was there", () =>
  withFolder(async (folder) => {
    const path = `${folder}/a`;
    await Deno.writeTextFile(path, "old");
    const sink = await fileSink(path);
    sink.write(new Uint8Array(3 << 20).fill(1));
    sink.write(Uint8Array.of(2, 3));
    assertEquals(await Deno.readTextFile(path), "old");
    sink.finish();
    sink.abort();
    assertEquals(namesIn(folder), ["a"]);
    const bytes = await Deno.readFile(path);
    assertEquals([bytes.length, ...bytes.subarray(-3)], [(3 << 20) + 2, 1, 2, 3]);
    assertThrows(() => sink.write(new Uint8Array(2 << 20)), InvalidFileError, "finished");
  }));

Deno.test("a file that is aborted, or cannot take its place, leaves nothing", () =>
  withFolder(async (folder) => {
    const aborted = await fileSink(`${folder}/a`);
    aborted.write(Uint8Array.of(1));
    aborted.abort();
    assertEquals(namesIn(folder), []);
    await Deno.mkdir(`${folder}/there`);
    const sink = await fileSink(`${folder}/there`);
    assertThrows(() => sink.finish(), InvalidFileError, "there");
    sink.abort();
    assertEquals(namesIn(folder), ["there"]);
    await assertRejects(() => fileSink(`${folder}/no/folder`), InvalidFileError, "cannot be written");
  }));
