/**
 * The key-value part of a GGUF header.
 *
 * @module
 */

import type { Cursor } from "./gguf_cursor.ts";
import { ValueType } from "./gguf_types.ts";
import type { MetadataNumbers, MetadataValue } from "./model_file.ts";
import { PackedStrings } from "./packed_strings.ts";

/** Deepest nesting of arrays that is read. */
const MAX_DEPTH = 4;

/** Arrays with more strings than this are decoded when they are first asked for: a vocabulary is not always wanted. */
const LAZY_STRINGS = 256;

/** What the key-value part of a header says. */
export interface Metadata {
  /** The values by key; no prototype. */
  readonly metadata: Record<string, MetadataValue>;
  /** The large arrays of strings among them, for who wants some of the strings only. */
  readonly packedStrings: ReadonlyMap<string, PackedStrings>;
}

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

/** Reads `count` key-value pairs. */
export function readMetadata(cursor: Cursor, count: number): Metadata {
  const metadata: Record<string, MetadataValue> = Object.create(null);
  const packed = new Map<string, PackedStrings>();
  for (let i = 0; i < count; i++) {
    const start = cursor.at;
    const key = cursor.string();
    if (Object.hasOwn(metadata, key)) throw cursor.error("the metadata key occurs twice", start, key);
    const value = readValue(cursor, key);
    if (value instanceof PackedStrings) {
      packed.set(key, value);
      Object.defineProperty(metadata, key, { get: () => value.all(), enumerable: true });
    } else Object.defineProperty(metadata, key, { value, enumerable: true });
  }
  return { metadata, packedStrings: packed };
}

function readValue(cursor: Cursor, key: string): MetadataValue | PackedStrings {
  const type = cursor.u32();
  if (type !== ValueType.array) return readScalar(cursor, type, key);
  const start = cursor.at;
  const elementType = cursor.u32();
  if (elementType === ValueType.string) {
    const count = cursor.count("strings", 8);
    if (count > LAZY_STRINGS) return packedStrings(cursor, count, key);
  }
  cursor.at = start;
  return readArray(cursor, key, 1);
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

/** Steps over `count` strings; they are decoded when they are asked for. */
function packedStrings(cursor: Cursor, count: number, key: string): PackedStrings {
  const from = cursor.at;
  for (let i = 0; i < count; i++) cursor.skipString();
  // A view: nearly all of a header are such strings, so a copy would take as much as lets the header go.
  const bytes = cursor.bytes.subarray(from, cursor.at);
  return new PackedStrings(bytes, count, { file: cursor.file, tensor: key, offset: from });
}
