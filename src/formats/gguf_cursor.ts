/**
 * A reading position in the first bytes of a GGUF file, which never trusts a length that the file states.
 *
 * @module
 */

import { InvalidFileError } from "../errors.ts";

/** Thrown where the header goes on beyond the bytes read so far, though not beyond the file. */
export class NeedMoreBytes {
  /** Bytes from the start of the file that must be there at least. */
  readonly until: number;

  /** Asks for the bytes up to `until`. */
  constructor(until: number) {
    this.until = until;
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes UTF-8; throws a `TypeError` where it is none. */
export function decodeUtf8(bytes: Uint8Array, from: number, to: number): string {
  return strictUtf8.decode(bytes.subarray(from, to));
}

/** The cursor: `bytes` are the start of a file of `size` bytes. */
export class Cursor {
  /** Position in the file. */
  at = 0;
  /** The start of the file. */
  readonly bytes: Uint8Array;
  /** Bytes in the whole file. */
  readonly size: number;
  /** Name of the file, for errors. */
  readonly file: string;
  readonly #view: DataView;

  /** Starts at byte 0. */
  constructor(bytes: Uint8Array, size: number, file: string) {
    this.bytes = bytes;
    this.size = size;
    this.file = file;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The error for something wrong at `offset`, by default where the cursor is. */
  error(what: string, offset: number = this.at, tensor?: string): InvalidFileError {
    return new InvalidFileError(what, { file: this.file, offset, tensor });
  }

  /** Steps over `length` bytes, which must be there; gives where they start. */
  take(length: number): number {
    const start = this.at;
    const end = start + length;
    if (end > this.size) {
      throw this.error(
        `the file is truncated: ${length} bytes are wanted here and ${this.size - start} are left`,
      );
    }
    if (end > this.bytes.length) throw new NeedMoreBytes(end);
    this.at = end;
    return start;
  }

  /** Reads an unsigned 8-bit integer. */
  u8(): number {
    return this.bytes[this.take(1)];
  }
  /** Reads a signed 8-bit integer. */
  i8(): number {
    return this.#view.getInt8(this.take(1));
  }
  /** Reads an unsigned 16-bit integer. */
  u16(): number {
    return this.#view.getUint16(this.take(2), true);
  }
  /** Reads a signed 16-bit integer. */
  i16(): number {
    return this.#view.getInt16(this.take(2), true);
  }
  /** Reads an unsigned 32-bit integer. */
  u32(): number {
    return this.#view.getUint32(this.take(4), true);
  }
  /** Reads a signed 32-bit integer. */
  i32(): number {
    return this.#view.getInt32(this.take(4), true);
  }
  /** Reads an F32. */
  f32(): number {
    return this.#view.getFloat32(this.take(4), true);
  }
  /** Reads an F64. */
  f64(): number {
    return this.#view.getFloat64(this.take(8), true);
  }
  /** Reads an unsigned 64-bit integer: a number where that is exact. */
  u64(): number | bigint {
    return plain(this.#view.getBigUint64(this.take(8), true));
  }
  /** Reads a signed 64-bit integer: a number where that is exact. */
  i64(): number | bigint {
    return plain(this.#view.getBigInt64(this.take(8), true));
  }
  /** Reads a truth value, which is one byte, 0 or 1. */
  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw this.error(`a bool is ${value} and must be 0 or 1`, this.at - 1);
    return value === 1;
  }

  /**
   * Reads how many things of at least `leastBytes` follow. Throws where the rest of the file cannot hold them, so that
   * no memory is ever allocated for a number that is only a claim.
   */
  count(what: string, leastBytes: number): number {
    const start = this.take(8);
    // Two halves and not a bigint: this runs once a token of the vocabulary.
    const count = this.#view.getUint32(start + 4, true) * 2 ** 32 + this.#view.getUint32(start, true);
    if (count * leastBytes > this.size - this.at) {
      const exact = this.#view.getBigUint64(start, true);
      throw this.error(`${exact} ${what} are more than the rest of the file holds`, start);
    }
    return count;
  }

  /** Steps over a string; gives where it ends. Its bytes are the ones before the end, from `this.at - length`. */
  skipString(): number {
    const length = this.count("bytes of text", 1);
    this.take(length);
    return length;
  }

  /** Reads a string: its length, then UTF-8. */
  string(): string {
    const length = this.skipString();
    try {
      return decodeUtf8(this.bytes, this.at - length, this.at);
    } catch (cause) {
      throw new InvalidFileError("the text is not UTF-8", { file: this.file, offset: this.at - length }, {
        cause,
      });
    }
  }
}

function plain(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
