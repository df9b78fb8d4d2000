/**
 * The tokens that are still in question, with their logits.
 *
 * @module
 */
import { expInto } from "./exp.ts";
import type { Cut } from "./select.ts";

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
    }
    let max = -Infinity;
    for (let id = 0; id < length; id++) {
      const logit = row[id];
      if (logit > max) max = logit;
      if (logit === 0) row[id] = 0; // -0 has other bits.
      else if (logit !== logit) row[id] = -Infinity;
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

  /** Keeps what the cut keeps by `keys`, which are the logits or an array of the caller's. */
  keep(keys: Float32Array, { key, ties }: Cut): void {
    const { logits, length } = this;
    const [ids, weights, whole] = [this.#ids, this.#weights, this.#whole];
    const kept = this.#kept;
    let [count, left] = [0, ties];
    // Which ones are kept is hard to foretell for a processor, so this loop does not branch on it.
    for (let i = 0; i < length; i++) {
      const k = keys[i];
      kept[count] = i;
      count += Number(k >= key);
      if (k === key && left-- <= 0) count--;
    }
    let [max, total] = [-Infinity, 0];
    for (let at = 0; at < count; at++) {
      const i = kept[at];
      const logit = logits[i];
      if (logit > max) max = logit;
      ids[at] = whole ? i : ids[i];
      logits[at] = logit;
      total += weights[at] = weights[i];
    }
    this.length = count;
    this.max = max;
    this.#whole = false;
    this.#total = total;
    this.#weighed &&= total > LEAST_TOTAL;
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
