/**
 * Files behind a URL: read in ranges where the server supports them (HTTP 206), else fetched whole, once.
 *
 * @module
 */

import { InvalidFileError, PermissionError } from "../errors.ts";
import { type ByteSource, checkRange, closed, message } from "./byte_source.ts";
import { collect, memorySource } from "./source_memory.ts";

/** Bytes of the first request: enough for most headers, and little to lose where only the size was wanted. */
const FIRST_BYTES = 256 * 1024;

/** The part of Deno that is used. */
type DenoLike = { permissions?: Pick<Deno.Permissions, "query"> };

async function checkPermission(url: URL): Promise<void> {
  const deno = (globalThis as { Deno?: DenoLike }).Deno;
  if (!deno?.permissions || !/^https?:$/.test(url.protocol)) return;
  const { state } = await deno.permissions.query({ name: "net", host: url.host });
  if (state !== "granted") throw new PermissionError(`fetching ${url.href}`, "-N");
}

/** The whole URL without what may be secret in it. */
function nameOf(url: URL): string {
  return url.protocol === "data:"
    ? "<data URL>"
    : `${url.origin === "null" ? url.protocol : url.origin}${url.pathname}`;
}

async function request(url: URL, from: number, to: number): Promise<Response> {
  const name = nameOf(url);
  try {
    // A compressed answer would make the ranges those of the compressed bytes.
    const headers = { range: `bytes=${from}-${to - 1}`, "accept-encoding": "identity" };
    return await fetch(url, /^https?:$/.test(url.protocol) ? { headers } : undefined);
  } catch (cause) {
    throw new InvalidFileError(`the URL cannot be fetched: ${message(cause)}`, { file: name, offset: from }, {
      cause,
    });
  }
}

/** Size of the whole file from `content-range: bytes 0-9/123`, if the answer says it. */
function totalSize(response: Response): number | undefined {
  const total = /^bytes \d+-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return total === undefined ? undefined : Number(total);
}

/** The body of `response`, which must be exactly `length` bytes. */
async function body(response: Response, name: string, offset: number, length: number): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new InvalidFileError(`the download broke off: ${message(cause)}`, { file: name, offset }, {
      cause,
    });
  }
  if (bytes.length === length) return bytes;
  throw new InvalidFileError(`the answer is truncated: ${bytes.length} bytes instead of ${length}`, {
    file: name,
    offset,
  });
}

/** Whether something is at the URL. */
export async function urlExists(url: URL): Promise<boolean> {
  await checkPermission(url);
  try {
    const response = await fetch(url, { method: "HEAD" });
    await response.body?.cancel();
    return response.ok;
  } catch (cause) {
    throw new InvalidFileError(`the URL cannot be fetched: ${message(cause)}`, { file: nameOf(url) }, {
      cause,
    });
  }
}

/** Opens a URL. Throws an {@linkcode InvalidFileError} where the server refuses it or it cannot be reached. */
export async function openUrl(url: URL): Promise<ByteSource> {
  await checkPermission(url);
  const name = nameOf(url);
  const first = await request(url, 0, FIRST_BYTES);
  const size = first.status === 206 ? totalSize(first) : undefined;
  if (size === undefined) {
    if (first.status === 200 && first.body) return memorySource(await collect(first.body, name), name);
    await first.body?.cancel();
    // 416: an empty file has no first byte.
    if (first.status === 200 || first.status === 416) return memorySource([], name);
    throw new InvalidFileError(`the server answered ${first.status} ${first.statusText}; check the URL`, {
      file: name,
    });
  }
  const head = await body(first, name, 0, Math.min(size, FIRST_BYTES));
  let open = true;

  return {
    name,
    size,
    async read(offset, length) {
      if (!open) throw closed(name);
      checkRange({ name, size }, offset, length);
      if (length === 0) return new Uint8Array();
      if (offset + length <= head.length) return head.subarray(offset, offset + length);
      const response = await request(url, offset, offset + length);
      if (response.status === 206 && totalSize(response) === size) {
        return await body(response, name, offset, length);
      }
      await response.body?.cancel();
      throw new InvalidFileError(
        response.status === 206
          ? "the file changed on the server while it was read; load it again"
          : `the server answered ${response.status} ${response.statusText} to a range of the file`,
        { file: name, offset },
      );
    },
    close: () => void (open = false),
  };
}
