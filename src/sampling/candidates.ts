/**
 * The tokens that are still in question, with their logits.
 *
 * @module
 */
import { expInto } from "./exp.ts";
import { type Cut, cutAt } from "./select.ts";

/** Of so many tokens at once the highest logit is known, so that none of them need be looked at where it is too low. */
const BLOCK = 256;
/** Below this total the weights are computed anew: some could be too small for the range of numbers. */
const LEAST_TOTAL = 1e-9;

/**
 * A set of tokens that samplers narrow in place, in order of their ids. Nothing is allocated for a token once there is
 * room for the vocabulary.
 */
export class Candidates {
  /** Their logits: the row that was given, shortened as tokens go; the first `length` count. */
  logits: Float32Array = new Float32Array();
  /** How many there are. */
  length = 0;
  /** The highest logit. */
  max = -Infinity;
  #ids = new Uint32Array();
  #kept = new Uint32Array();
  /** The highest logit of each block, as it was loaded. */
  #peaks = new Float32Array();
  /** No token has gone yet: ids are indices, and need not be written down. */
  #whole = true;
  #temperature = 1;
  #weights = new Float64Array();
  #weighed = false;
  #total = 0;
  #reference = 0;

  /** Takes all tokens of a row, which is written to from now on. NaN counts as impossible. */
  load(row: Float32Array): this {
    const { length } = row;
    if (this.#ids.length < length) {
      this.#ids = new Uint32Array(length);
      this.#kept = new Uint32Array(length);
      this.#weights = new Float64Array(length);
      this.#peaks = new Float32Array(Math.ceil(length / BLOCK));
    }
    let max = -Infinity;
    for (let id = 0; id < length;) {
      const block = Math.floor(id / BLOCK);
      const end = Math.min(id + BLOCK, length);
      let peak = -Infinity;
      for (; id < end; id++) {
        const logit = row[id];
        // One comparison for nearly all of them.
        if (logit <= peak) continue;
        if (logit > peak) peak = logit;
        else row[id] = -Infinity;
      }
      this.#peaks[block] = peak;
      if (peak > max) max = peak;
    }
    this.logits = row;
    this.length = length;
    this.max = max;
    this.#whole = true;
    this.#temperature = 1;
    this.#weighed = false;
    return this;
  }

  /** The token at an index. */
  id(index: number): number {
    return this.#whole ? index : this.#ids[index];
  }

  /** By what the logits are divided where they are turned into probabilities; above 0. */
  get temperature(): number {
    return this.#temperature;
  }
  set temperature(temperature: number) {
    if (temperature !== this.#temperature) this.#weighed = false;
    this.#temperature = temperature;
  }

  /** What is proportional to the probability of each: e^((logit - reference) / temperature). */
  get weights(): Float64Array {
    this.#weigh();
    return this.#weights;
  }
  /** The sum of `weights`. */
  get total(): number {
    this.#weigh();
    return this.#total;
  }
  /** The logit whose weight is 1. */
  get reference(): number {
    this.#weigh();
    return this.#reference;
  }

  /** The logit that has the weight. */
  logitOf(weight: number): number {
    return this.reference + this.#temperature * Math.log(weight);
  }

  /** Mean of (reference - logit) over the tokens by their probability. */
  get meanDistance(): number {
    const { logits, length, weights, total, reference } = this;
    let sum = 0;
    for (let i = 0; i < length; i++) {
      if (weights[i] > 0 && logits[i] < reference) sum += weights[i] * (reference - logits[i]);
    }
    return sum / total;
  }

  /** A logit that at least `count` tokens reach, or all where there are fewer; close to the highest such. */
  reachedBy(count: number): number {
    const blocks = Math.ceil(this.length / BLOCK);
    const [keys, length] = this.#whole && count <= blocks
      ? [this.#peaks, blocks]
      : [this.logits, this.length];
    return cutAt(keys, length, this.max, count).key;
  }

  /** Indices of the tokens whose logits are at least `least`; to be read before anything else is asked for. */
  atLeast(least: number): Uint32Array {
    return this.#kept.subarray(0, this.#find(this.logits, least));
  }

  /** Keeps what the cut keeps by `keys`, which are the logits or an array of the caller's. */
  keep(keys: Float32Array, { key, ties }: Cut): void {
    const kept = this.#kept;
    const found = this.#find(keys, key);
    if (ties === Infinity) return this.#move(found);
    let [count, left] = [0, ties];
    for (let at = 0; at < found; at++) {
      const i = kept[at];
      if (keys[i] !== key || left-- > 0) kept[count++] = i;
    }
    this.#move(count);
  }

  /** Writes the indices of all whose key is at least `least` to the room for those that are kept; gives their number. */
  #find(keys: Float32Array, least: number): number {
    const { length } = this;
    const kept = this.#kept;
    const blocks = this.#whole && keys === this.logits ? this.#peaks : undefined;
    let count = 0;
    for (let i = 0; i < length;) {
      const end = Math.min(i + BLOCK, length);
      if (blocks && blocks[i / BLOCK] < least) i = end;
      // Which ones are kept is hard to foretell for a processor, so this loop does not branch on it.
      for (; i < end; i++) {
        kept[count] = i;
        count += Number(keys[i] >= least);
      }
    }
    return count;
  }

  /** Moves the first `count` that are kept to the front. */
  #move(count: number): void {
    const { logits } = this;
    const [ids, kept, weights, whole, weighed] = [
      this.#ids,
      this.#kept,
      this.#weights,
      this.#whole,
      this.#weighed,
    ];
    let [max, total] = [-Infinity, 0];
    for (let at = 0; at < count; at++) {
      const i = kept[at];
      const logit = logits[i];
      if (logit > max) max = logit;
      ids[at] = whole ? i : ids[i];
      logits[at] = logit;
      if (weighed) total += weights[at] = weights[i];
    }
    this.length = count;
    this.max = max;
    this.#whole = false;
    this.#total = total;
    this.#weighed &&= total > LEAST_TOTAL;
  }

  /** Takes the tokens at `indices` away, which ascend; `max` is the highest logit of the others. */
  drop(indices: Uint32Array, max: number): void {
    const { length } = this;
    if (this.#whole) { for (let id = 0; id < length; id++) this.#ids[id] = id; }
    this.#whole = false;
    let to = indices[0] ?? length;
    indices.forEach((index, n) => {
      const [from, end] = [index + 1, indices[n + 1] ?? length];
      this.#ids.copyWithin(to, from, end);
      this.logits.copyWithin(to, from, end);
      to += end - from;
    });
    this.length = to;
    this.max = max;
    this.#weighed = false;
  }

  #weigh(): void {
    if (this.#weighed) return;
    const { logits, length, max } = this;
    this.#reference = max;
    // Above 0 also where the temperature is infinite: minus infinity stays what it is.
    const scale = Math.max(1 / this.#temperature, Number.MIN_VALUE);
    this.#total = expInto(logits, length, max, scale, this.#weights);
    this.#weighed = true;
  }
}

/** Room for one row. All that look at one share it: they never wait, so no two are at work at once. */
export const scratch: Candidates = new Candidates();
