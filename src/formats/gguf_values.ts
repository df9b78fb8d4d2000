/**
 * GGUF metadata on its way into a file: values with their types, and pairs as bytes, which is how a file's own
 * metadata are carried over without a change.
 *
 * @module
 */
import { ByteWriter } from "./byte_writer.ts";
import { Cursor } from "./gguf_cursor.ts";
import { ValueType } from "./gguf_types.ts";

/** Name of a metadata value type. */
export type GgufValueType = keyof typeof ValueType;

/** An array of one type; arrays in it say their own. */
export interface GgufArray {
  /** Type of the elements. */
  readonly of: GgufValueType;
  /** The elements. */
  readonly values: readonly (GgufPlain | GgufArray)[];
}

/** A value that is no array. */
export type GgufPlain = number | bigint | boolean | string;

/**
 * A metadata value. Plain JS values become string, bool, u32 (whole numbers from 0), i32 (below 0), f32 (other numbers)
 * and u64 (bigint); arrays become arrays of what their first element becomes; `{ type, value }` says it outright.
 */
export type GgufValue =
  | GgufPlain
  | readonly GgufPlain[]
  | GgufArray
  | { readonly type: GgufValueType; readonly value: GgufPlain | GgufArray };

/** One pair of a file's metadata. */
export interface MetadataPair {
  /** The key. */
  readonly key: string;
  /** Its value as a file has it: the type as a 32-bit number, then the value. */
  readonly value: Uint8Array;
}

/** A pair from a value. */
export function metadataPair(key: string, value: GgufValue): MetadataPair {
  const { type, value: plain } = explicit(value);
  const w = new ByteWriter().u32(ValueType[type]);
  writeValue(w, type, plain);
  return { key, value: w.finish() };
}

/** Appends pairs as a header has them. */
export function writePairs(w: ByteWriter, pairs: readonly MetadataPair[]): void {
  for (const { key, value } of pairs) {
    writeString(w, key);
    w.bytes(value);
  }
}

/** Appends a string: its length, then UTF-8. */
export function writeString(w: ByteWriter, text: string): void {
  const bytes = new TextEncoder().encode(text);
  w.u64(bytes.length).bytes(bytes);
}

/** Cuts `count` pairs, which were read from a sound file, into keys and values. */
export function splitPairs(bytes: Uint8Array, count: number, file: string): MetadataPair[] {
  const cursor = new Cursor(bytes, bytes.length, file);
  return Array.from({ length: count }, () => {
    const key = cursor.string();
    const start = cursor.at;
    skipValue(cursor, cursor.u32());
    return { key, value: bytes.subarray(start, cursor.at) };
  });
}

/** Bytes of the types that always have as many. */
const SIZES: Readonly<Record<number, number>> = {
  [ValueType.u8]: 1,
  [ValueType.i8]: 1,
  [ValueType.u16]: 2,
  [ValueType.i16]: 2,
  [ValueType.u32]: 4,
  [ValueType.i32]: 4,
  [ValueType.f32]: 4,
  [ValueType.bool]: 1,
  [ValueType.u64]: 8,
  [ValueType.i64]: 8,
  [ValueType.f64]: 8,
};

function skipValue(cursor: Cursor, type: number): void {
  if (type === ValueType.string) return void cursor.skipString();
  if (type !== ValueType.array) return void cursor.take(SIZES[type]);
  const elementType = cursor.u32();
  const size = SIZES[elementType];
  const count = cursor.count("array elements", size ?? 8);
  if (size) cursor.take(count * size);
  else for (let i = 0; i < count; i++) skipValue(cursor, elementType);
}

function typeOf(value: GgufPlain): GgufValueType {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "u64";
  if (!Number.isInteger(value)) return "f32";
  return value < 0 ? "i32" : "u32";
}

function explicit(value: GgufValue): { type: GgufValueType; value: GgufPlain | GgufArray } {
  if (isPlainList(value)) {
    return { type: "array", value: { of: value.length === 0 ? "u32" : typeOf(value[0]), values: value } };
  }
  if (typeof value !== "object") return { type: typeOf(value), value };
  return "of" in value ? { type: "array", value } : value;
}

function isPlainList(value: GgufValue): value is readonly GgufPlain[] {
  return Array.isArray(value);
}

function writeValue(w: ByteWriter, type: GgufValueType, value: GgufPlain | GgufArray): void {
  if (type === "array") {
    const array = value as GgufArray;
    w.u32(ValueType[array.of]).u64(array.values.length);
    for (const element of array.values) writeValue(w, array.of, element);
  } else if (type === "string") {
    writeString(w, value as string);
  } else if (type === "bool") {
    w.u8(value ? 1 : 0);
  } else {
    w[type](value as number);
  }
}
