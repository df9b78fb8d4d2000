/**
 * Files on the local disk: over `Deno` where it is there, over `node:fs` in Node and Bun. Nothing of either is touched
 * before a path is opened, so that browsers can load the module.
 *
 * @module
 */

import { InvalidFileError, PermissionError } from "../errors.ts";
import { type ByteSource, checkRange, closed, decodePath, message } from "./byte_source.ts";

/** What the two runtimes have to offer. */
interface Disk {
  /** Kind and size of what is at `path`, or `undefined` where there is nothing. */
  stat(path: string): { isFile: boolean; isDirectory: boolean; size: number } | undefined;
  /** Opens for reading. */
  open(path: string): Descriptor;
}

/** An open file. */
interface Descriptor {
  /** Reads up to `into.length` bytes at `offset`; gives how many, 0 at the end. */
  readAt(offset: number, into: Uint8Array): number;
  close(): void;
}

/** The part of Deno that is used, looked up when it is needed. */
type DenoLike = Pick<typeof Deno, "openSync" | "statSync" | "permissions" | "errors">;

function denoDisk(deno: DenoLike): Disk {
  return {
    stat(path) {
      try {
        return deno.statSync(path);
      } catch (error) {
        // A path below a file ("model.gguf/config.json") is as absent as any other.
        if (error instanceof deno.errors.NotFound || error instanceof deno.errors.NotADirectory) {
          return undefined;
        }
        throw error;
      }
    },
    open(path) {
      const file = deno.openSync(path, { read: true });
      return {
        // Seek and read without a wait between them: two readers cannot move each other's place.
        readAt(offset, into) {
          file.seekSync(offset, 0 /* from the start */);
          return file.readSync(into) ?? 0;
        },
        close: () => file.close(),
      };
    },
  };
}

async function nodeDisk(): Promise<Disk> {
  const fs = await import("node:fs");
  return {
    stat(path) {
      const stats = fs.statSync(path, { throwIfNoEntry: false });
      return stats && { isFile: stats.isFile(), isDirectory: stats.isDirectory(), size: stats.size };
    },
    open(path) {
      const handle = fs.openSync(path, "r");
      return {
        readAt: (offset, into) => fs.readSync(handle, into, 0, into.length, offset),
        close: () => fs.closeSync(handle),
      };
    },
  };
}

let cachedDisk: Disk | undefined;

/** The disk, once reading `path` is known to be allowed; the runtime is never left to ask the user. */
async function diskFor(path: string): Promise<Disk> {
  if (path === "" || path.includes("\0")) {
    throw new InvalidFileError("this is not a path; give the path of a model file", {
      file: JSON.stringify(path),
    });
  }
  const deno = (globalThis as { Deno?: DenoLike }).Deno;
  if (deno?.permissions) {
    const { state } = await deno.permissions.query({ name: "read", path });
    if (state !== "granted") throw new PermissionError(`reading ${path}`, "-R");
  }
  if (cachedDisk) return cachedDisk;
  if (deno?.openSync) return cachedDisk = denoDisk(deno);
  try {
    return cachedDisk = await nodeDisk();
  } catch (cause) {
    throw new InvalidFileError("there is no file system here; pass a URL, bytes, a Blob or a stream", {
      file: path,
    }, {
      cause,
    });
  }
}

/** The path of a `file:` URL: decoded, and without the slash before a Windows drive. */
export function pathOf(url: URL): string {
  const path = decodePath(url);
  return /^\/[a-z]:/i.test(path) ? path.slice(1) : path;
}

/** Whether `path` is a file, a folder or nothing. Throws a {@linkcode PermissionError} where it may not be looked at. */
export async function kindOfPath(path: string): Promise<"file" | "folder" | undefined> {
  const disk = await diskFor(path);
  const stats = attempt(path, () => disk.stat(path));
  return stats && (stats.isDirectory ? "folder" : "file");
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new InvalidFileError(`the file cannot be read: ${message(cause)}`, { file: path }, { cause });
  }
}

/** Opens a local file. Throws an {@linkcode InvalidFileError} where it is missing, a folder or not readable. */
export async function openPath(location: string | URL): Promise<ByteSource> {
  const path = typeof location === "string" ? location : pathOf(location);
  const disk = await diskFor(path);
  const stats = attempt(path, () => disk.stat(path));
  if (!stats) throw new InvalidFileError("there is no such file; check the path", { file: path });
  if (stats.isDirectory) throw new InvalidFileError("this is a folder and a file is wanted", { file: path });
  if (!stats.isFile) {
    throw new InvalidFileError("this is not a regular file; pass its bytes as a stream", { file: path });
  }
  const { size } = stats;
  let file: Descriptor | undefined = attempt(path, () => disk.open(path));

  function readSync(offset: number, into: Uint8Array): void {
    const from = file;
    if (!from) throw closed(path);
    checkRange({ name: path, size }, offset, into.length);
    for (let done = 0; done < into.length;) {
      const rest = done === 0 ? into : into.subarray(done);
      const got = attempt(path, () => from.readAt(offset + done, rest));
      if (got === 0) {
        throw new InvalidFileError("the file is truncated: it became shorter while it was read", {
          file: path,
          offset: offset + done,
        });
      }
      done += got;
    }
  }

  return {
    name: path,
    size,
    path,
    // Blocking reads: a local disk answers faster than a hop to another thread, and callers read in small pieces.
    async read(offset, length) {
      checkRange({ name: path, size }, offset, length);
      const bytes = new Uint8Array(length);
      await Promise.resolve();
      readSync(offset, bytes);
      return bytes;
    },
    readSync,
    close() {
      file?.close();
      file = undefined;
    },
  };
}
