/**
 * Builds small GGUF files byte by byte, sound ones and damaged ones.
 *
 * @module
 */

import type { DType } from "../../src/tensor/dtype.ts";
import { quantize } from "../../src/tensor/quantize.ts";
import { ByteWriter } from "./byte_writer.ts";

/** Numbers of the metadata value types (GGUF spec). */
const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** Numbers of the tensor types (`ggml_type`). */
const TENSOR_TYPES = {
  f32: 0,
  f16: 1,
  bf16: 30,
  i8: 24,
  i32: 26,
  q8_0: 8,
  q4_0: 2,
  q4_1: 3,
  q5_0: 6,
  q5_1: 7,
} as const satisfies Partial<Record<DType, number>>;

/** Name of a metadata value type. */
export type GgufValueType = keyof typeof VALUE_TYPES;

/** An array of one type; arrays in it say their own. */
export interface GgufArray {
  of: GgufValueType;
  values: readonly (GgufPlain | GgufArray)[];
}

type GgufPlain = number | bigint | boolean | string;

/**
 * A metadata value. Plain JS values become string, bool, u32 (whole numbers from 0), i32 (below 0), f32 (other numbers)
 * and u64 (bigint); arrays become arrays of what their first element becomes; `{ type, value }` says it outright.
 */
export type GgufValue =
  | GgufPlain
  | readonly GgufPlain[]
  | GgufArray
  | { type: GgufValueType; value: GgufPlain | GgufArray };

/** A tensor to write. */
export interface GgufTensor {
  name: string;
  /** A dtype, or a number to write as it is. */
  dtype: keyof typeof TENSOR_TYPES | number;
  /** Dimensions, outermost first. */
  shape: readonly (number | bigint)[];
  /** The bytes, or values that are quantized to `dtype`. */
  data: Uint8Array | Float32Array;
  /** The offset to claim in the data section, instead of the right one. */
  offset?: number | bigint;
}

/** What goes into the file; the last fields are for lies. */
export interface GgufOptions {
  metadata?: Record<string, GgufValue> | readonly (readonly [string, GgufValue])[];
  tensors?: readonly GgufTensor[];
  /** 32 where it is not given; then it is not written as metadata either. */
  alignment?: number;
  version?: number;
  magic?: string;
  tensorCount?: number | bigint;
  metadataCount?: number | bigint;
}

function typeOf(value: GgufPlain): GgufValueType {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "u64";
  if (!Number.isInteger(value)) return "f32";
  return value < 0 ? "i32" : "u32";
}

function explicit(value: GgufValue): { type: GgufValueType; value: GgufPlain | GgufArray } {
  if (Array.isArray(value)) {
    return { type: "array", value: { of: value.length === 0 ? "u32" : typeOf(value[0]), values: value } };
  }
  if (typeof value !== "object") return { type: typeOf(value), value };
  return "of" in value
    ? { type: "array", value }
    : value as { type: GgufValueType; value: GgufPlain | GgufArray };
}

function writeString(w: ByteWriter, text: string): void {
  const bytes = new TextEncoder().encode(text);
  w.u64(bytes.length).bytes(bytes);
}

function writeValue(w: ByteWriter, type: GgufValueType, value: GgufPlain | GgufArray): void {
  if (type === "array") {
    const array = value as GgufArray;
    w.u32(VALUE_TYPES[array.of]).u64(array.values.length);
    for (const element of array.values) writeValue(w, array.of, element);
  } else if (type === "string") {
    writeString(w, value as string);
  } else if (type === "bool") {
    w.u8(value ? 1 : 0);
  } else {
    w[type](value as number);
  }
}

/** The bytes of a GGUF file. */
export function buildGguf(options: GgufOptions = {}): Uint8Array<ArrayBuffer> {
  const { tensors = [], alignment = 32, version = 3, magic = "GGUF" } = options;
  const pairs = Symbol.iterator in (options.metadata ?? {})
    ? [...options.metadata as readonly (readonly [string, GgufValue])[]]
    : Object.entries((options.metadata ?? {}) as Record<string, GgufValue>);
  if (options.alignment !== undefined) pairs.push(["general.alignment", options.alignment]);

  const w = new ByteWriter();
  w.bytes(new TextEncoder().encode(magic)).u32(version);
  w.u64(options.tensorCount ?? tensors.length).u64(options.metadataCount ?? pairs.length);
  for (const [key, value] of pairs) {
    writeString(w, key);
    const { type, value: plain } = explicit(value);
    w.u32(VALUE_TYPES[type]);
    writeValue(w, type, plain);
  }

  const data = new ByteWriter();
  for (const { name, dtype, shape, data: content, offset } of tensors) {
    data.align(alignment);
    writeString(w, name);
    w.u32(shape.length);
    for (const dim of shape.toReversed()) w.u64(dim);
    w.u32(typeof dtype === "number" ? dtype : TENSOR_TYPES[dtype]).u64(offset ?? data.length);
    data.bytes(content instanceof Uint8Array ? content : quantize(dtype as DType, content));
  }
  return w.align(alignment).bytes(data.finish()).finish();
}
