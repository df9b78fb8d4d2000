/**
 * Steps that are begun before anybody asks for them.
 *
 * @module
 */
import type { Sequence } from "./pages.ts";
import type { RowOutput, StepEntry } from "./task.ts";

/**
 * The entries of the step that most likely comes next but so many others, whose tokens are not known yet: one more for each
 * sequence. Nothing where one of them is not likely to go on with its output, or has no room for a token in its pages; nor behind
 * a prompt, as a device may be read only when all that was enqueued is done, and the first token is waited for.
 */
export function nextEntries(entries: readonly StepEntry[], behind: number): readonly StepEntry[] | undefined {
  const goOn = entries.every(({ stepsToGo = 0, tokens, outputs, logits, sequence }) =>
    stepsToGo > behind && sequence.room > behind && tokens.length === 1 && outputs === 1 && !logits
  );
  if (!goOn) return undefined;
  // The token is put in its place when it is known.
  return entries.map(({ sequence }) => ({ sequence, tokens: [0], outputs: 1, logits: false, behind }));
}

/** A step that was begun with the outputs of the one before as its tokens. Only the very next step can be it. */
export class StepAhead {
  /** What it gives, row by row. */
  readonly outputs: Promise<readonly RowOutput[]>;
  /** By sequence: its row, and where its token goes. */
  readonly #places: ReadonlyMap<Sequence, { readonly row: number; readonly slot: number }>;
  #tokens: readonly RowOutput[] = [];

  /** Takes note of a step that was just begun behind one that gives `before`. */
  constructor(
    entries: readonly StepEntry[],
    before: Promise<readonly RowOutput[]>,
    outputs: Promise<readonly RowOutput[]>,
  ) {
    this.outputs = outputs;
    this.#places = new Map(entries.map(({ sequence, behind = 0 }, row) => {
      return [sequence, { row, slot: sequence.slot(sequence.length + behind) }];
    }));
    // Who asked for the step before is told of its failure, and whoever asks for this one, or the next one where nobody does, of its own.
    before.then((outputs) => this.#tokens = outputs, () => {});
    outputs.catch(() => {});
  }

  /**
   * The outputs of the step that is asked for, in order of its entries; nothing where it is another one. All its sequences must be in
   * this one, as they were then and with the tokens that it has; those that have left meanwhile do not matter to them.
   */
  answer(entries: readonly StepEntry[]): Promise<readonly RowOutput[]> | undefined {
    const rows: number[] = [];
    for (const { sequence, tokens, outputs, logits } of entries) {
      const place = this.#places.get(sequence);
      if (!place || place.slot !== sequence.slot(sequence.length) || outputs !== 1 || logits) {
        return undefined;
      }
      if (tokens.length !== 1 || tokens[0] !== this.#tokens[place.row]) return undefined;
      rows.push(place.row);
    }
    return this.outputs.then((outputs) => rows.map((row) => outputs[row]));
  }

  /** Whether its rows are those of these entries, so that a step behind it may take its outputs row by row. */
  hasRowsOf(entries: readonly StepEntry[]): boolean {
    return entries.length === this.#places.size &&
      entries.every(({ sequence }, row) => this.#places.get(sequence)?.row === row);
  }
}
