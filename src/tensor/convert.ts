/**
 * Elements between dtypes on the host, I32 included.
 *
 * @module
 */
import { type DType, DTYPES } from "./dtype.ts";
import { dequantize, quantize } from "./quantize.ts";

/** The elements as numbers: I32 as they are, all others widened to F32. */
export function toNumbers(dtype: DType, bytes: Uint8Array): Float32Array | Int32Array {
  // A copy, because the bytes may start at any address.
  if (dtype === "i32") return new Int32Array(bytes.slice().buffer);
  const { blockSize, blockBytes } = DTYPES[dtype];
  return dequantize(dtype, bytes, new Float32Array((bytes.length / blockBytes) * blockSize));
}

/** The same numbers in another dtype. A conversion to I32 drops the fraction. */
export function convertBytes(from: DType, to: DType, bytes: Uint8Array): Uint8Array {
  const numbers = toNumbers(from, bytes);
  if (to === "i32") return new Uint8Array(Int32Array.from(numbers).buffer);
  return quantize(to, Float32Array.from(numbers));
}
