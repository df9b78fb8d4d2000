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
  const max = greatest(logits);
  let total = 0;
  for (let id = 0; id < logits.length; id++) {
    const weight = Math.exp(logits[id] - max);
    // NaN counts as impossible.
    if (weight === weight) total += weight;
  }
  // Tokens below an equal share of what may be left out sum to less than that, so none of them is needed.
  const floor = max + Math.log((1 - mass) * total / logits.length);
  const heap = new LogitHeap(logits, (logit) => logit >= floor);
  let sum = 0;
  return take(heap, (taken, logit) => {
    const more = taken === 0 || sum < mass * total;
    if (more) sum += Math.exp(logit - max);
    return more;
  });
}

function greatest(logits: Float32Array): number {
  let max = -Infinity;
  for (let id = 0; id < logits.length; id++) if (logits[id] > max) max = logits[id];
  return max;
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
  size = 0;

  /** Takes the tokens that `wanted` takes; all of them where it takes none. */
  constructor(logits: Float32Array, wanted?: (logit: number) => boolean) {
    this.#logits = logits;
    this.#ids = new Uint32Array(logits.length);
    for (let id = 0; id < logits.length; id++) {
      if (wanted === undefined || wanted(logits[id])) this.#ids[this.size++] = id;
    }
    if (this.size === 0) { for (; this.size < logits.length; this.size++) this.#ids[this.size] = this.size; }
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

  #sink(from: number): void {
    const [ids, logits, size] = [this.#ids, this.#logits, this.size];
    const id = ids[from];
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && before(logits, ids[child + 1], ids[child])) child++;
      if (!before(logits, ids[child], id)) break;
      ids[at] = ids[child];
      at = child;
    }
    ids[at] = id;
  }
}

/** Whether token `a` is likelier than token `b`, or as likely and the lower id. */
function before(logits: Float32Array, a: number, b: number): boolean {
  const x = logits[a];
  const y = logits[b];
  if (x > y) return true;
  if (x < y) return false;
  return x === y ? a < b : x === x;
}
