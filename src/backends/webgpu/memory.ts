/**
 * Memory of the device: counted, zeroed, and never above the limit.
 *
 * @module
 */
import { BackendError, InvalidArgumentError, OutOfBoundsError, OutOfMemoryError } from "../../errors.ts";
import type { Buffer, CopyRange, MemoryInfo } from "../backend.ts";

/** Lengths are whole vectors of four words, so that any binding is long enough for any element type. */
const GRAIN = 16;

/** Rounds up to a multiple. */
export function roundUp(bytes: number, multiple: number): number {
  return Math.ceil(bytes / multiple) * multiple;
}

/** Bytes that a binding of so many bytes spans. */
export function bindingBytes(bytes: number): number {
  return Math.max(GRAIN, roundUp(bytes, GRAIN));
}

/** A buffer that a caller holds. */
export class WebGpuBuffer implements Buffer {
  /** Length as asked for, in bytes. */
  readonly bytes: number;
  /** The buffer on the device, a little longer. */
  readonly gpu: GPUBuffer;

  /** Wraps a device buffer. */
  constructor(bytes: number, gpu: GPUBuffer) {
    this.bytes = bytes;
    this.gpu = gpu;
  }
}

/** Checks that a buffer comes from this backend. */
export function webGpuBuffer(buffer: Buffer, what: string): WebGpuBuffer {
  if (buffer instanceof WebGpuBuffer) return buffer;
  throw new InvalidArgumentError(`${what} is a buffer of another backend; allocate it with this one`);
}

/** Throws unless `length` bytes at `offset` lie inside. */
export function checkRange(buffer: WebGpuBuffer, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= buffer.bytes) return;
  throw new OutOfBoundsError(
    `bytes ${offset} to ${offset + length} are outside a buffer of ${buffer.bytes} bytes`,
  );
}

/** The device's memory. */
export class DeviceMemory implements MemoryInfo {
  /** The most that may be allocated in all. */
  readonly limit: number;
  #used = 0;
  readonly #gpu: GPUDevice;
  readonly #live = new Set<GPUBuffer>();

  /** Counts the memory of a device. */
  constructor(gpu: GPUDevice, limit: number) {
    this.#gpu = gpu;
    this.limit = limit;
  }

  /** Bytes that are allocated now. */
  get used(): number {
    return this.#used;
  }

  /** Throws where so many bytes cannot be had as one buffer. */
  check(bytes: number, what: string): void {
    const available = Math.min(this.limit - this.#used, this.#gpu.limits.maxBufferSize);
    if (bindingBytes(bytes) > available) {
      throw new OutOfMemoryError({ required: bytes, available: Math.max(available, 0), what });
    }
  }

  /** Takes zeroed memory that kernels read and write. */
  take(bytes: number, what: string): GPUBuffer {
    this.check(bytes, what);
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const size = bindingBytes(bytes);
    const buffer = this.#gpu.createBuffer({
      label: what,
      size,
      usage: STORAGE | UNIFORM | COPY_SRC | COPY_DST,
    });
    this.#live.add(buffer);
    this.#used += size;
    return buffer;
  }

  /** Gives memory back; what is in flight still finishes with it. */
  release(buffer: GPUBuffer): void {
    if (!this.#live.delete(buffer)) return;
    this.#used -= buffer.size;
    buffer.destroy();
  }

  /** Gives all memory back. */
  releaseAll(): void {
    for (const buffer of [...this.#live]) this.release(buffer);
  }
}

/** Writes from the host. The device writes whole words, so only the end of a buffer may be inside one. */
export function writeBytes(gpu: GPUDevice, buffer: WebGpuBuffer, offset: number, bytes: Uint8Array): void {
  checkRange(buffer, offset, bytes.length);
  // Deno 2.9 panics on an empty array.
  if (bytes.length === 0) return;
  const reachesEnd = offset + bytes.length === buffer.bytes;
  if (offset % 4 !== 0 || (bytes.length % 4 !== 0 && !reachesEnd)) {
    throw new InvalidArgumentError(
      `cannot write ${bytes.length} bytes at ${offset}: both must be multiples of 4 inside a buffer`,
    );
  }
  let whole = bytes as Uint8Array<ArrayBuffer>;
  if (bytes.length % 4 !== 0) {
    whole = new Uint8Array(roundUp(bytes.length, 4));
    whole.set(bytes);
  }
  gpu.queue.writeBuffer(buffer.gpu, offset, whole);
}

/** Copies ranges on the device; WebGPU does not copy within one buffer, so that goes by way of another. */
export function copyRanges(
  gpu: GPUDevice,
  from: WebGpuBuffer,
  to: WebGpuBuffer,
  ranges: readonly CopyRange[],
): void {
  for (const range of ranges) {
    checkRange(from, range.from, range.length);
    checkRange(to, range.to, range.length);
    const reachesEnd = range.to + range.length === to.bytes;
    if (range.from % 4 !== 0 || range.to % 4 !== 0 || (range.length % 4 !== 0 && !reachesEnd)) {
      throw new InvalidArgumentError(
        `cannot copy ${range.length} bytes from ${range.from} to ${range.to}: all must be multiples of 4`,
      );
    }
  }
  const used = ranges.filter((range) => range.length > 0);
  if (used.length === 0) return;
  const commands = gpu.createCommandEncoder();
  if (from.gpu !== to.gpu) {
    for (const range of used) {
      commands.copyBufferToBuffer(from.gpu, range.from, to.gpu, range.to, roundUp(range.length, 4));
    }
    gpu.queue.submit([commands.finish()]);
    return;
  }
  const size = used.reduce((all, range) => all + roundUp(range.length, 4), 0);
  const between = gpu.createBuffer({ size, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  let at = 0;
  for (const range of used) {
    commands.copyBufferToBuffer(from.gpu, range.from, between, at, roundUp(range.length, 4));
    at += roundUp(range.length, 4);
  }
  at = 0;
  for (const range of used) {
    commands.copyBufferToBuffer(between, at, to.gpu, range.to, roundUp(range.length, 4));
    at += roundUp(range.length, 4);
  }
  gpu.queue.submit([commands.finish()]);
  between.destroy();
}

/** Waits for what was enqueued and reads bytes. */
export async function readBytes(
  gpu: GPUDevice,
  buffer: WebGpuBuffer,
  offset: number,
  into: Uint8Array,
): Promise<void> {
  checkRange(buffer, offset, into.length);
  if (into.length === 0) return;
  const start = Math.floor(offset / 4) * 4;
  const size = roundUp(offset + into.length - start, 4);
  const staging = gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  try {
    const commands = gpu.createCommandEncoder();
    commands.copyBufferToBuffer(buffer.gpu, start, staging, 0, size);
    gpu.queue.submit([commands.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    into.set(new Uint8Array(staging.getMappedRange(), offset - start, into.length));
    staging.unmap();
  } catch (cause) {
    throw new BackendError("webgpu", `reading failed: ${cause}`, { cause });
  } finally {
    staging.destroy();
  }
}
