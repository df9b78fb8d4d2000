/**
 * Memory of the reference backend.
 *
 * @module
 */
import { OutOfBoundsError } from "../../errors.ts";
import type { Buffer } from "../backend.ts";

/** Bytes in host memory. */
export class ReferenceBuffer implements Buffer {
  /** The bytes. */
  readonly data: Uint8Array<ArrayBuffer>;

  /** A buffer over its bytes. */
  constructor(data: Uint8Array<ArrayBuffer>) {
    this.data = data;
  }

  /** Length in bytes. */
  get bytes(): number {
    return this.data.length;
  }

  /** A part of the buffer, in place. */
  range(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (offset < 0 || offset + length > this.bytes) {
      throw new OutOfBoundsError(`bytes ${offset}..${offset + length} leave a buffer of ${this.bytes}`);
    }
    return this.data.subarray(offset, offset + length);
  }
}
