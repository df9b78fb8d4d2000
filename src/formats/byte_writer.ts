/** A little-endian writer for file headers. @module */

/** Appends numbers and bytes; every method gives the writer back. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#bytes.length) {
      const bytes = new Uint8Array(2 * this.#length);
      bytes.set(this.#bytes);
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    return at;
  }

  /** Appends bytes as they are. */
  bytes(bytes: Uint8Array): this {
    // First the growth: it may replace the array.
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
  /** Appends an unsigned 8-bit integer. */
  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }
  /** Appends a signed 8-bit integer. */
  i8(value: number): this {
    return this.u8(value);
  }
  /** Appends an unsigned 16-bit integer. */
  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  /** Appends a signed 16-bit integer. */
  i16(value: number): this {
    return this.u16(value);
  }
  /** Appends an unsigned 32-bit integer. */
  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  /** Appends a signed 32-bit integer. */
  i32(value: number): this {
    return this.u32(value);
  }
  /** Appends an unsigned 64-bit integer. */
  u64(value: number | bigint): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt(value), true);
    return this;
  }
  /** Appends a signed 64-bit integer. */
  i64(value: number | bigint): this {
    return this.u64(value);
  }
  /** Appends an F32. */
  f32(value: number): this {
    const at = this.#grow(4);
    this.#view.setFloat32(at, value, true);
    return this;
  }
  /** Appends an F64. */
  f64(value: number): this {
    const at = this.#grow(8);
    this.#view.setFloat64(at, value, true);
    return this;
  }
  /** Appends zeros up to a multiple of `alignment`. */
  align(alignment: number): this {
    this.#grow((alignment - this.#length % alignment) % alignment);
    return this;
  }
  /** All that was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }
}
