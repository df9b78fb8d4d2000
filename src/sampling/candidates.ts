/**
 * The likeliest tokens of a row of logits, without sorting the vocabulary.
 *
 * @module
 */

/** Token ids with their logits, likeliest first; equal logits stand in order of their ids. */
export interface Candidates {
  /** Token ids. */
  readonly ids: readonly number[];
  /** Their logits. */
  readonly logits: readonly number[];
}

/** The `count` likeliest tokens. */
export function topK(logits: Float32Array, count: number): Candidates {
  return take(new LogitHeap(logits), (taken) => taken < count);
}

/**
 * The fewest likeliest tokens whose probabilities sum to at least `mass`; at least one. The sum is taken over
 * `logits` as they are: truncate before, scale after.
 */
export function topP(logits: Float32Array, mass: number): Candidates {
  const heap = new LogitHeap(logits);
  const max = heap.peek();
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - max);
  let sum = 0;
  return take(heap, (taken, logit) => {
    const more = taken === 0 || sum < mass * total;
    if (more) sum += Math.exp(logit - max);
    return more;
  });
}

/** All tokens, in order of their ids. */
export function all(logits: Float32Array): Candidates {
  return { ids: Array.from(logits.keys()), logits: Array.from(logits) };
}

function take(heap: LogitHeap, wanted: (taken: number, logit: number) => boolean): Candidates {
  const ids: number[] = [];
  const logits: number[] = [];
  while (heap.size > 0 && wanted(ids.length, heap.peek())) {
    logits.push(heap.peek());
    ids.push(heap.pop());
  }
  return { ids, logits };
}

/** A binary heap over token ids: made in linear time, each pop logarithmic. NaN counts as the unlikeliest. */
class LogitHeap {
  readonly #logits: Float32Array;
  readonly #ids: Uint32Array;
  size: number;

  constructor(logits: Float32Array) {
    this.#logits = logits;
    this.size = logits.length;
    this.#ids = new Uint32Array(logits.length);
    for (let i = 0; i < this.size; i++) this.#ids[i] = i;
    for (let i = (this.size >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  peek(): number {
    return this.#logits[this.#ids[0]];
  }

  pop(): number {
    const top = this.#ids[0];
    this.#ids[0] = this.#ids[--this.size];
    this.#sink(0);
    return top;
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#logits[a], this.#logits[b]];
    return x > y || (x === y && a < b) || (x === x && y !== y);
  }

  #sink(from: number): void {
    const ids = this.#ids;
    for (let at = from;;) {
      let best = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.size && this.#before(ids[child], ids[best])) best = child;
      }
      if (best === at) return;
      [ids[at], ids[best]] = [ids[best], ids[at]];
      at = best;
    }
  }
}
