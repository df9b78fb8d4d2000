/**
 * The place that a model's other files are looked for: a folder on the disk, or the URL that a file was fetched from.
 *
 * @module
 */

import { InvalidFileError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { kindOfPath, openPath } from "./source_file.ts";

/** A folder of model files. */
export interface Folder {
  /** Path or URL, as errors name it. */
  readonly name: string;
  /** Whether there is a file of this name. */
  has(file: string): Promise<boolean>;
  /** Opens a file, which must be there. */
  open(file: string): Promise<ByteSource>;
}

/** Splits a path into its folder and its last part. */
export function splitPath(path: string): { folder: string; file: string } {
  const windows = (globalThis as { Deno?: { build: { os: string } } }).Deno?.build.os === "windows" ||
    /^[a-z]:\\/i.test(path);
  const at = Math.max(path.lastIndexOf("/"), windows ? path.lastIndexOf("\\") : -1);
  // "" stays "" and not ".": names in errors are then as the caller wrote them.
  return { folder: path.slice(0, at + 1), file: path.slice(at + 1) };
}

/** A folder on the disk; `""` is the current one. */
export function diskFolder(path: string): Folder {
  const prefix = path === "" || /[\\/]$/.test(path) ? path : `${path}/`;
  return {
    name: path === "" ? "." : path,
    has: async (file) => (await kindOfPath(prefix + file)) === "file",
    open: (file) => openPath(prefix + file),
  };
}

/** The files beside a URL; the URL of a folder ends with a slash. */
export function urlFolder(url: URL): Folder {
  const at = (file: string) => {
    const there = new URL(file.split("/").map(encodeURIComponent).join("/"), url);
    // A query holds what lets the caller in, so it goes along.
    there.search = url.search;
    return there;
  };
  return {
    name: new URL(".", url).href.split("?")[0],
    has: async (file) => await (await import("./source_http.ts")).urlExists(at(file)),
    open: async (file) => await (await import("./source_http.ts")).openUrl(at(file)),
  };
}

/** Throws unless `file`, which comes from a file's content, is the name of a sibling and nothing that leads elsewhere. */
export function checkFileName(file: string, place: { file: string; tensor?: string }): void {
  // deno-lint-ignore no-control-regex -- a NUL ends the name for the operating system
  if (/^[^\\/:\x00]+$/.test(file) && file !== "." && file !== "..") return;
  throw new InvalidFileError(`${JSON.stringify(file)} is not the name of a file in the same folder`, place);
}
