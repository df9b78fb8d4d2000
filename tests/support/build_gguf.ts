/**
 * Builds small GGUF files byte by byte, sound ones and damaged ones.
 *
 * @module
 */

import type { DType } from "../../src/tensor/dtype.ts";
import { quantize } from "../../src/tensor/quantize.ts";
import { ByteWriter } from "../../src/formats/byte_writer.ts";
import { type GgufValue, metadataPair, writePairs, writeString } from "../../src/formats/gguf_values.ts";
import { ggufTypeNumber } from "../../src/formats/gguf_writer.ts";

export type { GgufArray, GgufValue } from "../../src/formats/gguf_values.ts";

/** A tensor to write. */
export interface GgufTensor {
  name: string;
  /** A dtype, or a number to write as it is. */
  dtype: DType | number;
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
    writePairs(w, [metadataPair(key, value)]);
  }

  const data = new ByteWriter();
  for (const { name, dtype, shape, data: content, offset } of tensors) {
    data.align(alignment);
    writeString(w, name);
    w.u32(shape.length);
    for (const dim of shape.toReversed()) w.u64(dim);
    w.u32(typeof dtype === "number" ? dtype : ggufTypeNumber(dtype)).u64(offset ?? data.length);
    data.bytes(content instanceof Uint8Array ? content : quantize(dtype as DType, content));
  }
  return w.align(alignment).bytes(data.finish()).finish();
}
