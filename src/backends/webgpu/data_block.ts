/**
 * Small read-only data of a Program — constants, tables, uniforms — gathered into one buffer.
 *
 * @module
 */
import { bindingBytes, type DeviceMemory, roundUp } from "./memory.ts";

/** Alignment of a binding: the largest that WebGPU may ask for. */
export const SLOT_BYTES = 256;

/** A part of a device buffer. */
export interface Place {
  /** The buffer. */
  readonly buffer: GPUBuffer;
  /** Offset in bytes. */
  readonly offset: number;
  /** Length in bytes. */
  readonly size: number;
}

/** Collects data first, then puts them all into one buffer. */
export class DataBlock {
  readonly #parts: { data: ArrayBufferView; offset: number }[] = [];
  readonly #counts = new Map<number, number>();
  #bytes = SLOT_BYTES;

  /** Length so far, in bytes. The first slot stays zero, for inputs that are not given. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds data and gives their offset in bytes. */
  add(data: ArrayBufferView): number {
    const offset = this.#bytes;
    this.#parts.push({ data, offset });
    this.#bytes += roundUp(bindingBytes(data.byteLength), SLOT_BYTES);
    return offset;
  }

  /** Adds a fixed row count, once. */
  addCount(count: number): number {
    let offset = this.#counts.get(count);
    if (offset === undefined) {
      offset = this.add(Uint32Array.of(count, 0, 0, 0));
      this.#counts.set(count, offset);
    }
    return offset;
  }

  /** Allocates and fills the buffer. */
  finish(gpu: GPUDevice, memory: DeviceMemory, what: string): GPUBuffer {
    const buffer = memory.take(this.#bytes, what);
    const block = new Uint8Array(this.#bytes);
    for (const { data, offset } of this.#parts) {
      block.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    }
    gpu.queue.writeBuffer(buffer, 0, block);
    return buffer;
  }
}
