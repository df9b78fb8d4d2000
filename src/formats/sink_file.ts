/**
 * Files that appear whole or not at all: written beside their place under another name, then moved there.
 *
 * @module
 */
import { InvalidFileError, PermissionError } from "../errors.ts";
import { message } from "./byte_source.ts";
import type { ByteSink } from "./byte_sink.ts";

/** Pieces smaller than this are gathered. */
const BUFFER_BYTES = 1 << 20;

/** Opens a file for writing; it takes its place in `finish`, and replaces what was there. */
export async function fileSink(path: string): Promise<ByteSink> {
  await askToWrite(path);
  const fs = await import("node:fs");
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (cause) {
      throw new InvalidFileError(`the file cannot be written: ${message(cause)}`, { file: path }, { cause });
    }
  };
  // Random, so that two writers of one file do not meet.
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  let handle: number | undefined = attempt(() => fs.openSync(temporary, "wx"));
  const buffer = new Uint8Array(BUFFER_BYTES);
  let held = 0;

  const put = (bytes: Uint8Array): void => {
    const file = handle;
    if (file === undefined) throw new InvalidFileError("the file is finished", { file: path });
    for (let done = 0; done < bytes.length;) {
      done += attempt(() => fs.writeSync(file, bytes, done, bytes.length - done));
    }
  };
  const flush = (): void => {
    put(buffer.subarray(0, held));
    held = 0;
  };
  return {
    name: path,
    write(bytes) {
      if (held + bytes.length > BUFFER_BYTES) flush();
      if (bytes.length > BUFFER_BYTES) return put(bytes);
      buffer.set(bytes, held);
      held += bytes.length;
    },
    finish() {
      flush();
      const file = handle;
      if (file === undefined) return;
      // On the disk before it has its name: a power cut must not leave a hole in its place.
      attempt(() => fs.fsyncSync(file));
      attempt(() => fs.closeSync(file));
      handle = undefined;
      try {
        attempt(() => fs.renameSync(temporary, path));
      } catch (error) {
        fs.rmSync(temporary, { force: true });
        throw error;
      }
    },
    abort() {
      if (handle === undefined) return;
      fs.closeSync(handle);
      handle = undefined;
      fs.rmSync(temporary, { force: true });
    },
  };
}

/** Makes a folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  await askToWrite(path);
  const fs = await import("node:fs");
  try {
    fs.mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new InvalidFileError(`the folder cannot be made: ${message(cause)}`, { file: path }, { cause });
  }
}

/** Throws where the path may not be written; the runtime is never left to ask the user. */
async function askToWrite(path: string): Promise<void> {
  const { permissions } = (globalThis as { Deno?: Pick<typeof Deno, "permissions"> }).Deno ?? {};
  const status = await permissions?.query({ name: "write", path });
  if (status && status.state !== "granted") throw new PermissionError(`writing ${path}`, "-W");
}
