/**
 * Builds small safetensors files, sound ones and damaged ones.
 *
 * @module
 */

import type { DType } from "../../src/tensor/dtype.ts";
import { quantize } from "../../src/tensor/quantize.ts";
import { ByteWriter } from "../../src/formats/byte_writer.ts";

/** A tensor to write. */
export interface SafetensorsTensor {
  /** Name of the dtype in the file: `"F32"`. */
  dtype: string;
  /** Dimensions, outermost first. */
  shape: readonly number[];
  /** The bytes, or values that are converted to `dtype`. */
  data: Uint8Array | Float32Array;
}

/** The bytes of a file from its header, as text or bytes, and the data after it. */
export function assembleSafetensors(
  header: string | Uint8Array,
  data: Uint8Array = new Uint8Array(),
  headerLength?: number | bigint,
): Uint8Array<ArrayBuffer> {
  const bytes = typeof header === "string" ? new TextEncoder().encode(header) : header;
  return new ByteWriter().u64(headerLength ?? bytes.length).bytes(bytes).bytes(data).finish();
}

/** The bytes of a sound safetensors file. */
export function buildSafetensors(
  tensors: Record<string, SafetensorsTensor>,
  metadata?: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  const data = new ByteWriter();
  for (const [name, { dtype, shape, data: content }] of Object.entries(tensors)) {
    const start = data.length;
    data.bytes(content instanceof Uint8Array ? content : quantize(dtype.toLowerCase() as DType, content));
    header[name] = { dtype, shape, data_offsets: [start, data.length] };
  }
  // The reference writer pads the header with spaces, so that the data start at a multiple of 8.
  const text = JSON.stringify(header);
  return assembleSafetensors(
    text.padEnd(Math.ceil(new TextEncoder().encode(text).length / 8) * 8),
    data.finish(),
  );
}
