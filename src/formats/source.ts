/**
 * The thing a model is read from: a file, a URL, bytes, a blob or a stream behind one small interface, read in pieces
 * so that weights never need to be in memory twice.
 *
 * @module
 */

import { InvalidArgumentError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { openPath } from "./source_file.ts";
import { blobSource, collect, memorySource } from "./source_memory.ts";

export type { ByteSource };

/** What {@linkcode openSource} opens. */
export type SourceLike = string | URL | Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** The scheme of strings that are URLs and not paths; one letter would be a Windows drive. */
const SCHEME = /^(https?|file|data|blob):/i;

/** Gives the URL that `source` is or spells, if it is one. */
export function asUrl(source: unknown): URL | undefined {
  if (source instanceof URL) return source;
  if (typeof source !== "string" || !SCHEME.test(source)) return undefined;
  if (URL.canParse(source)) return new URL(source);
  throw new InvalidArgumentError(`${JSON.stringify(source)} is not a URL; check its spelling`);
}

/**
 * Opens a path, URL, blob, stream or bytes for reading. A stream is read to its end here, and its chunks are kept as
 * they came; a URL is read in ranges where the server knows them.
 *
 * Throws an `InvalidFileError` where the file is missing or cannot be read, and a `PermissionError` instead
 * of letting the runtime ask the user.
 */
export async function openSource(source: SourceLike): Promise<ByteSource> {
  const url = asUrl(source);
  if (url) {
    if (url.protocol === "file:") return await openPath(url);
    return await (await import("./source_http.ts")).openUrl(url);
  }
  if (typeof source === "string") return await openPath(source);
  if (source instanceof Uint8Array) return memorySource([source], "<bytes>");
  if (source instanceof ArrayBuffer) return memorySource([new Uint8Array(source)], "<bytes>");
  if (source instanceof Blob) return blobSource(source);
  if (source instanceof ReadableStream) return memorySource(await collect(source, "<stream>"), "<stream>");
  throw new InvalidArgumentError(
    "the model must be a path, URL, Uint8Array, ArrayBuffer, Blob or ReadableStream of bytes",
  );
}
