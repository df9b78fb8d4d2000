/**
 * What a core backend holds: buffers and weights with their bytes, against the limit.
 *
 * @module
 */
import { InvalidArgumentError, OutOfMemoryError } from "../../errors.ts";
import type { Buffer, MemoryInfo, WeightHandle, WeightSpec } from "../backend.ts";
import type { CoreAbi } from "./abi.ts";

/** Memory at an address of the core. */
export class CoreBuffer implements Buffer {
  /** Takes over memory. */
  constructor(readonly address: number, readonly bytes: number) {}
}

/** A weight at an address of the core: dense F32, or a handle of a packed one. */
export class CoreWeight implements WeightHandle {
  /** Takes over a weight. */
  constructor(readonly spec: WeightSpec, readonly address: number, readonly bytes: number) {}
}

/** Keeps the books of one backend's memory. */
export class Ledger {
  readonly #abi: CoreAbi;
  readonly #limit: number;
  readonly #held = new Set<CoreBuffer | CoreWeight>();
  #used = 0;

  /** Starts with nothing held. */
  constructor(abi: CoreAbi, limit: number) {
    this.#abi = abi;
    this.#limit = limit;
  }

  /** Limit and use, in bytes. */
  get memory(): MemoryInfo {
    return { limit: this.#limit, used: this.#used };
  }

  /** Bytes that can still be had, at most. */
  get available(): number {
    return Math.max(this.#limit - this.#used, 0);
  }

  /** Counts bytes that something else took (or, negative, gave back). */
  count(bytes: number): void {
    this.#used += bytes;
  }

  /** Takes zeroed memory. */
  alloc(bytes: number, what: string): CoreBuffer {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new InvalidArgumentError(
        `${what} cannot have ${bytes} bytes; pass a whole number that is not negative`,
      );
    }
    const address = bytes <= this.available ? this.#abi.alloc(bytes) : 0;
    if (address === 0) throw new OutOfMemoryError({ required: bytes, available: this.available, what });
    return this.hold(new CoreBuffer(address, bytes));
  }

  /** Enters what was made elsewhere. */
  hold<T extends CoreBuffer | CoreWeight>(item: T): T {
    this.#held.add(item);
    this.#used += item.bytes;
    return item;
  }

  /** Frees a buffer or weight. */
  free(item: CoreBuffer | CoreWeight): void {
    this.check(item);
    this.#held.delete(item);
    this.#used -= item.bytes;
    if (item instanceof CoreWeight && item.spec.layout === "packed") this.#abi.weightFree(item.address);
    else this.#abi.free(item.address, item.bytes);
  }

  /** The item, checked to be held here. */
  check<T extends CoreBuffer | CoreWeight>(item: T): T {
    if (!this.#held.has(item)) {
      throw new InvalidArgumentError("a buffer or weight was freed before, or belongs to another backend");
    }
    return item;
  }

  /** Frees everything. */
  freeAll(): void {
    for (const item of [...this.#held]) this.free(item);
  }
}
