/**
 * DRY ("don't repeat yourself"): a token that would go on repeating an earlier stretch of the text loses the more the
 * longer the repetition already is.
 *
 * @module
 */

/** What DRY is told. */
export interface DryOptions {
  /** Penalty of a repetition of the allowed length; 0 is off. */
  readonly dryMultiplier: number;
  /** Factor of the penalty for each token more. */
  readonly dryBase: number;
  /** Repetitions of fewer tokens cost nothing. */
  readonly dryAllowedLength: number;
  /** How many of the latest tokens count. */
  readonly dryWindow: number;
  /** Sequences of ids across which a repetition does not reach. */
  readonly drySequenceBreakers: readonly (readonly number[])[];
}

/** The largest F32 is e^88.72: no penalty is larger. */
const MAX_EXPONENT = 88.72;

/** Lowers the logits of tokens that would make a repetition longer; tokens that are breakers stay as they are. */
export function dry(logits: Float32Array, history: readonly number[], options: DryOptions): void {
  const { dryMultiplier, dryBase, dryAllowedLength, dryWindow, drySequenceBreakers } = options;
  if (dryMultiplier === 0 || dryWindow === 0) return;
  const recent = history.slice(-dryWindow);
  const limit = sinceBreaker(recent, drySequenceBreakers);
  if (limit < dryAllowedLength) return;
  const mostMore = dryBase > 1 ? MAX_EXPONENT / Math.log(dryBase) : Infinity;
  const free = new Set(drySequenceBreakers.filter((breaker) => breaker.length === 1).flat());
  for (const [id, length] of repetitions(recent, dryAllowedLength)) {
    if (free.has(id)) continue;
    const more = Math.min(length, limit) - dryAllowedLength;
    logits[id] -= dryMultiplier * dryBase ** Math.min(more, mostMore);
  }
}

/** How many tokens have come since the last breaker. */
function sinceBreaker(recent: readonly number[], breakers: readonly (readonly number[])[]): number {
  const byFirst = Map.groupBy(breakers, ([first]) => first);
  for (let start = recent.length - 1; start >= 0; start--) {
    const lengths = (byFirst.get(recent[start]) ?? [])
      .filter((breaker) => breaker.every((id, i) => recent[start + i] === id))
      .map((breaker) => breaker.length);
    if (lengths.length > 0) return recent.length - start - Math.max(...lengths);
  }
  return recent.length;
}

/**
 * For each token that came after an earlier copy of the end of the text: the length of the longest such copy, where it
 * is at least `least`.
 */
function repetitions(recent: readonly number[], least: number): Map<number, number> {
  const lengths = new Map<number, number>();
  const copies = copiesOfEnd(recent);
  for (let before = 1; before < recent.length; before++) {
    const next = recent[recent.length - before];
    if (copies[before] >= least) lengths.set(next, Math.max(lengths.get(next) ?? 0, copies[before]));
  }
  return lengths;
}

/**
 * Of each text that is shorter by `i` tokens: how many tokens at its end are those at the end of the whole text. This
 * is the Z function (Gusfield, "Algorithms on Strings, Trees and Sequences", 1997, 1.3) of the reversed text: linear.
 */
function copiesOfEnd(recent: readonly number[]): Uint32Array {
  const last = recent.length - 1;
  const copies = new Uint32Array(recent.length);
  let [left, right] = [0, 0];
  for (let i = 1; i <= last; i++) {
    let length = i < right ? Math.min(copies[i - left], right - i) : 0;
    while (i + length <= last && recent[last - length] === recent[last - i - length]) length++;
    copies[i] = length;
    if (i + length > right) [left, right] = [i, i + length];
  }
  return copies;
}
