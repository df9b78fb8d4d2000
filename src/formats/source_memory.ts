/**
 * Files that are in memory already: bytes, the chunks of a stream, blobs.
 *
 * @module
 */

import { InvalidArgumentError, InvalidFileError } from "../errors.ts";
import { type ByteSource, checkRange, closed, message } from "./byte_source.ts";

/** The chunks of a stream as they come; they are not joined, so the file is in memory once. */
export async function collect(stream: ReadableStream<Uint8Array>, file: string): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return chunks;
      if (!(value instanceof Uint8Array)) {
        throw new InvalidArgumentError(
          `${file} must give Uint8Array chunks; pipe text through TextEncoderStream`,
        );
      }
      if (value.length > 0) chunks.push(value);
    }
  } catch (cause) {
    await reader.cancel(cause).catch(() => {});
    if (cause instanceof InvalidArgumentError) throw cause;
    throw new InvalidFileError(`the stream failed: ${message(cause)}`, { file }, { cause });
  } finally {
    reader.releaseLock();
  }
}

/** A source over chunks in memory. A read inside one chunk is a view, a read across chunks a copy. */
export function memorySource(bytes: readonly Uint8Array[], name: string): ByteSource {
  // Plain views, because a Node `Buffer` slices without copying.
  const chunks = bytes.map((chunk) => new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
  const starts: number[] = [];
  let size = 0;
  for (const chunk of chunks) {
    starts.push(size);
    size += chunk.length;
  }
  let open: readonly Uint8Array[] | undefined = chunks;

  /** Index of the chunk with the byte at `offset`. */
  function find(offset: number): number {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function fill(offset: number, into: Uint8Array): void {
    if (!open) throw closed(name);
    checkRange({ name, size }, offset, into.length);
    for (let i = find(offset), done = 0; done < into.length; i++) {
      const from = offset + done - starts[i];
      const part = open[i].subarray(from, from + into.length - done);
      into.set(part, done);
      done += part.length;
    }
  }

  function read(offset: number, length: number): Uint8Array {
    if (!open) throw closed(name);
    checkRange({ name, size }, offset, length);
    if (length === 0) return new Uint8Array();
    const i = find(offset);
    const from = offset - starts[i];
    if (from + length <= open[i].length) return open[i].subarray(from, from + length);
    const joined = new Uint8Array(length);
    fill(offset, joined);
    return joined;
  }

  return {
    name,
    size,
    // Through `resolve().then`, so that an error is a rejection and never a synchronous throw.
    read: (offset, length) => Promise.resolve().then(() => read(offset, length)),
    readSync: fill,
    close: () => void (open = undefined),
  };
}

/** A source over a blob or a browser's file, read slice by slice. */
export function blobSource(blob: Blob): ByteSource {
  const name = blob instanceof File && blob.name !== "" ? blob.name : "<blob>";
  let open = true;
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      if (!open) throw closed(name);
      checkRange({ name, size: blob.size }, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new InvalidFileError(`the blob cannot be read: ${message(cause)}`, { file: name, offset }, {
          cause,
        });
      }
    },
    close: () => void (open = false),
  };
}
