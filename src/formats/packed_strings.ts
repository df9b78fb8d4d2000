/**
 * Many strings as a file has them, decoded when they are asked for: a vocabulary is not always wanted, or a few tokens
 * of it only.
 *
 * @module
 */

import { InvalidFileError } from "../errors.ts";
import { decodeUtf8 } from "./gguf_cursor.ts";

/** Where the strings stand, for errors. */
interface Place {
  /** Name of the file. */
  readonly file: string;
  /** Metadata key. */
  readonly tensor: string;
  /** Of the first one's length. */
  readonly offset: number;
}

/** Bytes of a string's length, which stands before it. */
const LENGTH_BYTES = 8;

/** Strings of a GGUF file. */
export class PackedStrings implements Iterable<string> {
  /** How many there are. */
  readonly length: number;
  readonly #place: Place;
  /** Dropped once all are decoded. */
  #bytes?: Uint8Array;
  #strings?: readonly string[];
  /** Where each string's length stands in the bytes; made for the first one that is asked for by its place. */
  #starts?: Uint32Array;

  /** Takes over the bytes of `length` strings, each a u64 length, checked to lie within them, and UTF-8. */
  constructor(bytes: Uint8Array, length: number, place: Place) {
    this.#bytes = bytes;
    this.length = length;
    this.#place = place;
  }

  /** One string, of which nothing is kept; nothing outside the array. Throws an {@linkcode InvalidFileError} where it is not UTF-8. */
  at(index: number): string | undefined {
    const bytes = this.#bytes;
    if (!bytes) return this.#strings?.[index];
    if (index < 0 || index >= this.length) return undefined;
    const start = (this.#starts ??= starts(bytes, this.length))[index];
    const from = start + LENGTH_BYTES;
    const to = from + lengthAt(viewOf(bytes), start);
    try {
      return decodeUtf8(bytes, from, to);
    } catch (cause) {
      throw notUtf8(index, from, this.#place, cause);
    }
  }

  /** All of them, decoded at once and kept. Throws an {@linkcode InvalidFileError} where one is not UTF-8. */
  all(): readonly string[] {
    if (this.#bytes) this.#strings = decodeStrings(this.#bytes, this.length, this.#place);
    this.#bytes = this.#starts = undefined;
    return this.#strings ?? [];
  }

  /** Over all of them. */
  [Symbol.iterator](): Iterator<string> {
    return this.all()[Symbol.iterator]();
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A string's length; its upper half is 0, because all lengths were checked against the file. */
function lengthAt(view: DataView, at: number): number {
  return view.getUint32(at, true);
}

function starts(bytes: Uint8Array, count: number): Uint32Array {
  const view = viewOf(bytes);
  const starts = new Uint32Array(count);
  for (let i = 0, at = 0; i < count; i++) {
    starts[i] = at;
    at += LENGTH_BYTES + lengthAt(view, at);
  }
  return starts;
}

/**
 * Decodes all strings with one call into the runtime, which costs more than a token's few letters: their bytes are
 * packed together, decoded, and cut up again by their lengths in UTF-16.
 */
function decodeStrings(
  bytes: Uint8Array,
  count: number,
  place: Place,
): string[] {
  const view = viewOf(bytes);
  const packed = new Uint8Array(bytes.length - LENGTH_BYTES * count);
  const units = new Uint32Array(count);
  let valid = true;
  let to = 0;
  for (let i = 0, at = 0; i < count; i++) {
    const end = at + LENGTH_BYTES + lengthAt(view, at);
    at += LENGTH_BYTES;
    // A string that begins inside a character could complete the one before it.
    if (at < end && (bytes[at] & 0xc0) === 0x80) valid = false;
    let length = 0;
    while (at < end) {
      const byte = packed[to++] = bytes[at++];
      if ((byte & 0xc0) !== 0x80) length += byte >= 0xf0 ? 2 : 1;
    }
    units[i] = length;
  }
  let text = "";
  try {
    text = decodeUtf8(packed, 0, packed.length);
  } catch {
    valid = false;
  }
  if (!valid) throw firstInvalid(view, bytes, place);
  const strings = new Array<string>(count);
  for (let i = 0, from = 0; i < count; i++) strings[i] = text.substring(from, from += units[i]);
  return strings;
}

/** The error for the first of the strings that is not UTF-8. */
function firstInvalid(view: DataView, bytes: Uint8Array, place: Place): InvalidFileError {
  for (let i = 0, at = 0;; i++) {
    const from = at + LENGTH_BYTES;
    at = from + lengthAt(view, at);
    try {
      decodeUtf8(bytes, from, at);
    } catch (cause) {
      return notUtf8(i, from, place, cause);
    }
  }
}

function notUtf8(index: number, at: number, place: Place, cause: unknown): InvalidFileError {
  return new InvalidFileError(`string ${index} is not UTF-8`, { ...place, offset: place.offset + at }, {
    cause,
  });
}
