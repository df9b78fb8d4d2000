/**
 * The lines of a file, read piece by piece however large it is.
 *
 * @module
 */
import { InvalidFileError } from "../errors.ts";
import type { ByteSource } from "../formats/byte_source.ts";

const CHUNK_BYTES = 1 << 16;
/** A longer line is none: no prompt or result is, and a file without line breaks must not fill the memory. */
const LONGEST_LINE = 1 << 26;
const LINE_FEED = 10;

/**
 * Each line with its line feed; the last one has none where it was cut short.
 *
 * @throws {InvalidFileError} where a line is longer than any request or result.
 */
export async function* readLines(
  source: Pick<ByteSource, "name" | "size" | "read">,
): AsyncGenerator<Uint8Array> {
  /** What was read of a line so far: put together once, at its end. */
  let parts: Uint8Array[] = [];
  let length = 0;
  for (let at = 0; at < source.size; at += CHUNK_BYTES) {
    const chunk = await source.read(at, Math.min(CHUNK_BYTES, source.size - at));
    let start = 0;
    for (let end; (end = chunk.indexOf(LINE_FEED, start)) >= 0; start = end + 1) {
      yield join([...parts, chunk.subarray(start, end + 1)]);
      [parts, length] = [[], 0];
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > LONGEST_LINE) {
      throw new InvalidFileError(
        `a line is longer than ${LONGEST_LINE} bytes, put each request or result in a line of its own`,
        { file: source.name },
      );
    }
  }
  if (length > 0) yield join(parts);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Whether a line was written to its end. */
export function isWhole(line: Uint8Array): boolean {
  return line[line.length - 1] === LINE_FEED;
}
