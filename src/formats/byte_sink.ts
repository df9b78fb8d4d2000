/**
 * Where a file is written to, piece by piece and front to back.
 *
 * @module
 */
import { ByteWriter } from "./byte_writer.ts";
import type { TensorOut } from "./tensor_out.ts";

/** A file that is being written. Ends with `finish` or `abort`, and only `finish` makes it one. */
export interface ByteSink {
  /** Path or a description, as errors name it. */
  readonly name: string;
  /** Appends bytes, and is done with them when it returns. */
  write(bytes: Uint8Array): void;
  /** The file is complete: it takes its place now. */
  finish(): void;
  /** Leaves no trace; does nothing after `finish`. */
  abort(): void;
}

/** A file in memory. */
export class MemorySink implements ByteSink {
  /** As errors name it. */
  readonly name = "a file in memory";
  #writer = new ByteWriter();

  /** Appends bytes. */
  write(bytes: Uint8Array): void {
    this.#writer.bytes(bytes);
  }
  /** Nothing has to be done. */
  finish(): void {}
  /** Drops what was written. */
  abort(): void {
    this.#writer = new ByteWriter();
  }
  /** All that was written. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#writer.finish();
  }
}

/** What writers of all formats take. */
export interface WriteOptions {
  /** Ends the writing. */
  readonly signal?: AbortSignal;
  /** Told of every piece of tensor data that was written. */
  readonly onBytes?: (bytes: number) => void;
}

/** Writes a tensor's bytes; `tap` sees each piece. Throws where there are not as many as the header said. */
export async function writeTensor(
  sink: ByteSink,
  tensor: TensorOut,
  { signal, onBytes }: WriteOptions = {},
  tap?: (piece: Uint8Array) => void,
): Promise<void> {
  let written = 0;
  for await (const piece of tensor.pieces()) {
    signal?.throwIfAborted();
    sink.write(piece);
    tap?.(piece);
    written += piece.length;
    onBytes?.(piece.length);
  }
  if (written !== tensor.byteLength) {
    throw new RangeError(`${tensor.name} has ${written} bytes where ${tensor.byteLength} were announced`);
  }
}

/** Writes zeros up to a multiple of `alignment`, from byte `at` on; gives how many. */
export function writePadding(sink: ByteSink, at: number, alignment: number): number {
  const length = (alignment - at % alignment) % alignment;
  if (length > 0) sink.write(new Uint8Array(length));
  return length;
}
