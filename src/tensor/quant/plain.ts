/**
 * Kinds without blocks. F64 and the integers are only read, and become the nearest F32.
 *
 * @module
 */
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../float16.ts";
import type { Kind } from "./kind.ts";

/** What makes a view of a buffer. */
interface ViewType<View> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): View;
  readonly BYTES_PER_ELEMENT: number;
}

/** A view of the first elements; of a copy where they start at an odd address. */
function view<View>(type: ViewType<View>, bytes: Uint8Array, count: number): View {
  const size = type.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes.subarray(0, size * count));
  return new type(aligned.buffer, aligned.byteOffset, count);
}

/** 16-bit elements. */
function half(
  widen: (bits: Uint16Array, out?: Float32Array) => Float32Array,
  narrow: (values: Float32Array, out?: Uint16Array) => Uint16Array,
): Kind {
  return {
    decode: (bytes, out, count) => void widen(view(Uint16Array, bytes, count), out),
    encode: (values, bytes) =>
      void narrow(values, new Uint16Array(bytes.buffer, bytes.byteOffset, values.length)),
  };
}

/** Elements that a typed array reads. */
function numbers(type: ViewType<ArrayLike<number>>): Kind {
  return { decode: (bytes, out, count) => out.set(view(type, bytes, count)) };
}

/** The plain kinds by dtype. */
export const PLAIN_KINDS = {
  f32: {
    decode(bytes, out, count) {
      new Uint8Array(out.buffer, out.byteOffset, 4 * count).set(bytes.subarray(0, 4 * count));
    },
    encode(values, bytes) {
      bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    },
  },
  f16: half(f16ToF32, f32ToF16),
  bf16: half(bf16ToF32, f32ToBf16),
  f64: numbers(Float64Array),
  i8: numbers(Int8Array),
  u8: numbers(Uint8Array),
  i16: numbers(Int16Array),
  i32: numbers(Int32Array),
  i64: {
    decode(bytes, out, count) {
      const from = view(BigInt64Array, bytes, count);
      for (let i = 0; i < count; i++) out[i] = nearestF32(from[i]);
    },
  },
} as const satisfies Record<string, Kind>;

/** Rounded once: an I64 of more than 53 bits would be rounded on its way through a number, too. */
function nearestF32(value: bigint): number {
  const size = value < 0n ? -value : value;
  if (size < 1n << 53n) return Number(value);
  // What lies below an F32's last place decides only by whether it is zero.
  const sticky = (size & 0xffffn) === 0n ? 0n : 1n;
  const short = Number((size >> 16n << 1n) | sticky) * 2 ** 15;
  return value < 0n ? -short : short;
}
