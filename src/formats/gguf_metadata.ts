/**
 * The key-value part of a GGUF header.
 *
 * @module
 */

import { InvalidFileError } from "../errors.ts";
import { type Cursor, decodeUtf8 } from "./gguf_cursor.ts";
import { ValueType } from "./gguf_types.ts";
import type { MetadataNumbers, MetadataValue } from "./model_file.ts";

/** Deepest nesting of arrays that is read. */
const MAX_DEPTH = 4;

/** Arrays with more strings than this are decoded when they are first asked for: a vocabulary is not always wanted. */
const LAZY_STRINGS = 256;

/** A value, or what gives it when it is first asked for. */
type Lazy = { readonly value: MetadataValue } | { get(): MetadataValue };

/** How the plain value types are read, by number. */
const SCALARS: Readonly<Record<number, (cursor: Cursor) => MetadataValue>> = {
  [ValueType.u8]: (c) => c.u8(),
  [ValueType.i8]: (c) => c.i8(),
  [ValueType.u16]: (c) => c.u16(),
  [ValueType.i16]: (c) => c.i16(),
  [ValueType.u32]: (c) => c.u32(),
  [ValueType.i32]: (c) => c.i32(),
  [ValueType.f32]: (c) => c.f32(),
  [ValueType.bool]: (c) => c.bool(),
  [ValueType.string]: (c) => c.string(),
  [ValueType.u64]: (c) => c.u64(),
  [ValueType.i64]: (c) => c.i64(),
  [ValueType.f64]: (c) => c.f64(),
};

/** Typed arrays by element type, for those that have one. */
const NUMBERS: Readonly<
  Record<number, { new (buffer: ArrayBuffer): MetadataNumbers; BYTES_PER_ELEMENT: number }>
> = {
  [ValueType.u8]: Uint8Array,
  [ValueType.i8]: Int8Array,
  [ValueType.u16]: Uint16Array,
  [ValueType.i16]: Int16Array,
  [ValueType.u32]: Uint32Array,
  [ValueType.i32]: Int32Array,
  [ValueType.f32]: Float32Array,
  [ValueType.f64]: Float64Array,
};

/** Fewest bytes of an array's element, for the types without a typed array. */
const LEAST_BYTES: Readonly<Record<number, number>> = {
  [ValueType.bool]: 1,
  [ValueType.string]: 8,
  [ValueType.array]: 12,
  [ValueType.u64]: 8,
  [ValueType.i64]: 8,
};

/** Reads `count` key-value pairs. Large arrays of strings are decoded on first access. */
export function readMetadata(cursor: Cursor, count: number): Record<string, MetadataValue> {
  const metadata: Record<string, MetadataValue> = Object.create(null);
  for (let i = 0; i < count; i++) {
    const start = cursor.at;
    const key = cursor.string();
    if (Object.hasOwn(metadata, key)) throw cursor.error("the metadata key occurs twice", start, key);
    const type = cursor.u32();
    const lazy = readLazily(cursor, type, key);
    Object.defineProperty(metadata, key, { ...lazy, enumerable: true });
  }
  return metadata;
}

function readLazily(cursor: Cursor, type: number, key: string): Lazy {
  if (type !== ValueType.array) return { value: readScalar(cursor, type, key) };
  const start = cursor.at;
  const elementType = cursor.u32();
  if (elementType === ValueType.string) {
    const count = cursor.count("strings", 8);
    if (count > LAZY_STRINGS) return lazyStrings(cursor, count, key);
  }
  cursor.at = start;
  return { value: readArray(cursor, key, 1) };
}

function readScalar(cursor: Cursor, type: number, key: string): MetadataValue {
  const read = SCALARS[type];
  if (!read) throw cursor.error(`the metadata value has the unknown type ${type}`, cursor.at - 4, key);
  return read(cursor);
}

/** Reads an array: the element type, the count, the elements. */
function readArray(cursor: Cursor, key: string, depth: number): MetadataValue {
  if (depth > MAX_DEPTH) {
    throw cursor.error(`arrays are nested more than ${MAX_DEPTH} deep; the file is damaged`, cursor.at, key);
  }
  const type = cursor.u32();
  const Numbers = NUMBERS[type];
  const least = Numbers?.BYTES_PER_ELEMENT ?? LEAST_BYTES[type];
  if (least === undefined) {
    throw cursor.error(`the array has the unknown element type ${type}`, cursor.at - 4, key);
  }
  const count = cursor.count("array elements", least);
  if (Numbers) {
    const from = cursor.take(count * least);
    // A copy, because the file aligns nothing here. Machines that run this are little-endian, as the file is.
    return new Numbers(cursor.bytes.slice(from, cursor.at).buffer as ArrayBuffer);
  }
  const values: MetadataValue[] = [];
  for (let i = 0; i < count; i++) {
    values.push(type === ValueType.array ? readArray(cursor, key, depth + 1) : SCALARS[type](cursor));
  }
  return values;
}

/** Steps over `count` strings now and decodes them when they are asked for. */
function lazyStrings(cursor: Cursor, count: number, key: string): Lazy {
  const from = cursor.at;
  for (let i = 0; i < count; i++) cursor.skipString();
  const { file } = cursor;
  // A copy of these bytes alone, so that the rest of the header can go; dropped in turn once decoded.
  let bytes: Uint8Array | undefined = cursor.bytes.slice(from, cursor.at);
  let strings: string[] | undefined;
  return {
    get() {
      if (bytes) strings = decodeStrings(bytes, count, { file, tensor: key, offset: from });
      bytes = undefined;
      return strings ?? [];
    },
  };
}

/**
 * Decodes all strings with one call into the runtime, which costs more than a token's few letters: their bytes are
 * packed together, decoded, and cut up again by their lengths in UTF-16.
 */
function decodeStrings(
  bytes: Uint8Array,
  count: number,
  place: { file: string; tensor: string; offset: number },
): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const packed = new Uint8Array(bytes.length - 8 * count);
  const units = new Uint32Array(count);
  let valid = true;
  let to = 0;
  for (let i = 0, at = 0; i < count; i++) {
    // The upper half of the length is 0: all lengths were checked against the file.
    const end = at + 8 + view.getUint32(at, true);
    at += 8;
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
function firstInvalid(
  view: DataView,
  bytes: Uint8Array,
  place: { file: string; tensor: string; offset: number },
): InvalidFileError {
  for (let i = 0, at = 0;; i++) {
    const from = at + 8;
    at = from + view.getUint32(at, true);
    try {
      decodeUtf8(bytes, from, at);
    } catch (cause) {
      return new InvalidFileError(`string ${i} is not UTF-8`, { ...place, offset: place.offset + from }, {
        cause,
      });
    }
  }
}
