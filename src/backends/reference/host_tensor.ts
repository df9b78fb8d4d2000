/**
 * A value as the reference kernels see it: bytes in host memory, at the shape that the value has in this step.
 *
 * @module
 */
import { DTypeError } from "../../errors.ts";
import { byteLength, type DType, wholeBlocks } from "../../tensor/dtype.ts";
import { elementCount } from "../../tensor/shape.ts";
import { dequantize, quantize } from "../../tensor/quantize.ts";

/** Bytes with a dtype and a shape. */
export class HostTensor {
  /** Element type. */
  readonly dtype: DType;
  /** Dimensions in this step, outermost first. */
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly length: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  /** A tensor over the start of `bytes`, which may be longer (a buffer at full capacity). */
  constructor(dtype: DType, shape: readonly number[], bytes: Uint8Array<ArrayBuffer>) {
    this.dtype = dtype;
    this.shape = shape;
    this.length = elementCount(shape);
    this.#bytes = bytes;
  }

  /** Width of a row: the innermost dimension; 1 for a scalar. */
  get width(): number {
    return this.shape.at(-1) ?? 1;
  }
  /** How many rows of the innermost dimension there are. */
  get rows(): number {
    return elementCount(this.shape.slice(0, -1));
  }

  /** The elements of an F32 tensor, in place. */
  get f32(): Float32Array<ArrayBuffer> {
    this.#expect("f32");
    return new Float32Array(this.#bytes.buffer, this.#bytes.byteOffset, this.length);
  }
  /** The elements of an I32 tensor, in place. */
  get i32(): Int32Array<ArrayBuffer> {
    this.#expect("i32");
    return new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, this.length);
  }
  /** The bit patterns of an F16 tensor, in place. */
  get f16(): Uint16Array<ArrayBuffer> {
    this.#expect("f16");
    return new Uint16Array(this.#bytes.buffer, this.#bytes.byteOffset, this.length);
  }

  /** The same elements under another shape. */
  reshape(shape: readonly number[]): HostTensor {
    return new HostTensor(this.dtype, shape, this.#bytes);
  }

  /** A reader of rows as F32 for any weight dtype; F32 rows are given in place, others are valid until the next. */
  rowReader(): (row: number) => Float32Array {
    const { width } = this;
    if (this.dtype === "f32") {
      const all = this.f32;
      return (row) => all.subarray(row * width, (row + 1) * width);
    }
    const bytes = byteLength(this.dtype, width);
    const out = new Float32Array(width);
    return (row) => dequantize(this.dtype, this.#bytes.subarray(row * bytes, (row + 1) * bytes), out);
  }

  /** A writer of the start of a row, in this dtype; what is behind it in its last block becomes zero. */
  rowWriter(): (row: number, values: Float32Array) => void {
    const { dtype, width } = this;
    const bytes = byteLength(dtype, width);
    return (row, values) => {
      const blocks = new Float32Array(wholeBlocks(dtype, values.length));
      blocks.set(values);
      this.#bytes.set(quantize(dtype, blocks), row * bytes);
    };
  }

  #expect(dtype: DType): void {
    if (this.dtype !== dtype) {
      throw new DTypeError(`a reference kernel wants ${dtype} and got ${this.dtype}[${this.shape}]`);
    }
  }
}
