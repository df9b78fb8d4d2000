/**
 * Merge tables in the form that `@huggingface/tokenizers` looks pairs up in, without the work of building that form:
 * the library keys its table by `JSON.stringify([left, right])` of every merge, which is most of the time that a
 * tokenizer takes to construct. These tables translate the few keys that are asked for instead.
 *
 * @module
 */

/** A table from a pair of symbols to the rank of their merge: lower merges first. */
export abstract class PairRanks extends Map<string, number> {
  /** The rank of merging two symbols, `undefined` where they never merge. */
  abstract rank(left: string, right: string): number | undefined;

  /** Looks up a pair in the library's spelling of it, `["left","right"]`. */
  override get(key: string): number | undefined {
    // Quotes, backslashes and control characters are escaped; where nothing is, the next quote ends the left symbol.
    if (!key.includes("\\")) {
      const end = key.indexOf('"', 2);
      return this.rank(key.slice(2, end), key.slice(end + 3, -2));
    }
    const [left, right] = JSON.parse(key) as [string, string];
    return this.rank(left, right);
  }
}

/** Merges as a file lists them, in order of rank. */
export class MergeRanks extends PairRanks {
  readonly #ranks = new Map<string, number>();
  readonly #separator: string;

  /** An empty table; `separator` is what stands between the two symbols of a merge. */
  constructor(separator: string) {
    super();
    this.#separator = separator;
  }

  /** Adds a merge, spelled with the separator, after all others. */
  append(merge: string): void {
    this.#ranks.set(merge, this.#ranks.size);
  }

  /** The place of the merge in the list. */
  override rank(left: string, right: string): number | undefined {
    return this.#ranks.get(left + this.#separator + right);
  }
}

/**
 * SentencePiece BPE as llama.cpp does it: any two symbols merge whose concatenation is a token, best score first. Equal
 * scores have equal ranks, so the leftmost pair goes first.
 */
export class ScoreRanks extends PairRanks {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #rankOfId: Int32Array;

  /** Ranks tokens by their scores; `scores[id]` belongs to the token of that id. */
  constructor(ids: ReadonlyMap<string, number>, scores: ArrayLike<number>) {
    super();
    this.#ids = ids;
    const sorted = Float64Array.from(scores).sort();
    const rankOfScore = new Map<number, number>();
    for (let i = sorted.length - 1; i >= 0; i--) {
      if (!rankOfScore.has(sorted[i])) rankOfScore.set(sorted[i], rankOfScore.size);
    }
    this.#rankOfId = Int32Array.from(scores, (score) => rankOfScore.get(score) ?? 0);
  }

  /** The place of the merged token's score among all scores. */
  override rank(left: string, right: string): number | undefined {
    const id = this.#ids.get(left + right);
    return id === undefined ? undefined : this.#rankOfId[id];
  }
}
