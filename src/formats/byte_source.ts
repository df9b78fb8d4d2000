/**
 * Random access to the bytes of one file: the interface, and what all its kinds share.
 *
 * @module
 */

import { InvalidArgumentError, InvalidFileError } from "../errors.ts";

/** Random access to the bytes of one file. */
export interface ByteSource {
  /** Path, URL or a description, as errors name it. */
  readonly name: string;
  /** Bytes in the file. */
  readonly size: number;
  /** Path on the local disk, where it is a local file. */
  readonly path?: string;
  /**
   * The bytes `[offset, offset + length)`; all of them, or an {@linkcode InvalidFileError}. They may be a view of the
   * source's own memory: read them, don't write to them.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Fills `into` from `offset`, without a wait or garbage; absent where bytes can only come later. */
  readSync?(offset: number, into: Uint8Array): void;
  /** Releases the file. Reading afterwards is an error; closing again is not. */
  close(): void;
}

/** Throws unless `[offset, offset + length)` lies inside the source. */
export function checkRange(source: { name: string; size: number }, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 0) {
    throw new InvalidArgumentError(`cannot read ${length} bytes at ${offset} of ${source.name}`);
  }
  if (offset + length > source.size) {
    throw new InvalidFileError(
      `the file is truncated: ${length} bytes are wanted here and ${
        Math.max(0, source.size - offset)
      } are left`,
      { file: source.name, offset },
    );
  }
}

/** The error for a read after `close()`. */
export function closed(name: string): InvalidArgumentError {
  return new InvalidArgumentError(`${name} is closed; keep the model open for as long as it is read`);
}

/** What a caught value says. */
export function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** The path of a URL without its percent signs. */
export function decodePath(url: URL): string {
  try {
    return decodeURIComponent(url.pathname);
  } catch (cause) {
    throw new InvalidArgumentError(`${url.href} has a broken %-escape; write a percent sign as %25`, {
      cause,
    });
  }
}
