/**
 * What is put aside when a step follows another at once.
 *
 * @module
 */
import type { CoreAbi } from "./abi.ts";
import type { Feed, Read, Runnable } from "./runner.ts";
import { Staging } from "./staging.ts";

/** The most bytes that are put aside for reads. */
const KEPT_BYTES = 4096;
/** A copy is three u64. */
const COPY_BYTES = 24;

/** Copies that the core makes before the step, and where they put things. */
export interface Copies {
  /** Address of the list. */
  readonly list: number;
  /** How many there are. */
  readonly count: number;
  /** Where each read finds what the step before has left. */
  readonly kept: readonly number[];
}

/** Memory of the core for one step that follows: its record, what reads still want, and the list of copies. */
export class Aside {
  readonly #abi: CoreAbi;
  readonly #staging: Staging;
  #record = 0;
  #words = 0;

  /** Takes nothing yet. */
  constructor(abi: CoreAbi) {
    this.#abi = abi;
    this.#staging = new Staging(abi, 0);
  }

  /** Puts a record aside and lists the copies; nothing where the reads want too much. The last step must have begun. */
  put(
    { record }: Pick<Runnable, "record">,
    words: Int32Array,
    feed: Feed,
    reads: readonly Read[],
  ): Copies | undefined {
    const bytes = reads.reduce((sum, read) => sum + aligned(read.bytes), 0);
    const count = reads.length + 2;
    if (bytes > KEPT_BYTES) return undefined;
    const list = this.#staging.take(COPY_BYTES * count + bytes + words.byteLength);
    if (list === 0) return undefined;
    let end = list + COPY_BYTES * count;
    const kept = reads.map((read) => {
      const at = end;
      end += aligned(read.bytes);
      return at;
    });
    [this.#record, this.#words] = [end, words.length];
    this.record().set(words);
    const copies = reads.flatMap((read, i) => [read.address, kept[i], read.bytes]);
    copies.push(end, record, words.byteLength);
    copies.push(feed.from, record + feed.at, feed.bytes);
    const { buffer, byteOffset } = this.#abi.view(list, COPY_BYTES * count);
    new BigUint64Array(buffer, byteOffset, copies.length).set(copies.map(BigInt));
    return { list, count, kept };
  }

  /** The record that was put aside last. */
  record(): Int32Array {
    const { buffer, byteOffset } = this.#abi.view(this.#record, 4 * this.#words);
    return new Int32Array(buffer, byteOffset, this.#words);
  }

  /** Gives the memory back. */
  free(): void {
    this.#staging.free();
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
