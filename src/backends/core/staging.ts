/**
 * Where rows lie in the core's memory before they are packed.
 *
 * @module
 */
import type { CoreAbi } from "./abi.ts";

/** About how many bytes go through at once: few, as their place stays until the end. */
export const CHUNK_BYTES = 128 << 10;

/** The same from a source that is waited for, where each chunk may be a request. */
export const AWAITED_CHUNK_BYTES = 512 << 10;

/**
 * A piece of the core's memory that is used again and again, as for one chunk of a weight after the other: where each takes one of
 * its own, the gaps that those leave between the weights are too small for what comes later, and make 5 % of a model.
 */
export class Staging {
  readonly #abi: CoreAbi;
  readonly #least: number;
  #address = 0;
  #bytes = 0;

  /** Takes nothing yet; later, so many bytes at least. */
  constructor(abi: CoreAbi, least = CHUNK_BYTES) {
    this.#abi = abi;
    this.#least = least;
  }

  /** The address of `bytes` bytes, until the next call; 0 where they cannot be had. */
  take(bytes: number): number {
    if (bytes <= this.#bytes) return this.#address;
    this.free();
    const size = Math.max(bytes, this.#least);
    this.#address = this.#abi.alloc(size);
    this.#bytes = this.#address === 0 ? 0 : size;
    return this.#address;
  }

  /** Gives the memory back. */
  free(): void {
    if (this.#address !== 0) this.#abi.free(this.#address, this.#bytes);
    this.#address = this.#bytes = 0;
  }
}
