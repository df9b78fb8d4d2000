/**
 * Steps that are begun before anybody asks for them.
 *
 * @module
 */
import type { Sequence } from "./pages.ts";
import type { RowOutput, StepEntry } from "./task.ts";

/**
 * The entries of the step that most likely comes next, whose tokens are not known yet: one more for each sequence. Nothing
 * where one of them is not likely to go on with its output, or has no room for a token in its pages.
 */
export function nextEntries(entries: readonly StepEntry[]): readonly StepEntry[] | undefined {
  const goOn = entries.every(({ goesOn, outputs, logits, sequence }) =>
    goesOn && outputs === 1 && !logits && sequence.hasRoom
  );
  if (!goOn) return undefined;
  // The token is put in its place when it is known.
  return entries.map(({ sequence }) => ({ sequence, tokens: [0], outputs: 1, logits: false }));
}

/** A step that was begun with the outputs of the one before as its tokens. Only the very next step can be it. */
export class StepAhead {
  /** What it gives. */
  readonly outputs: Promise<readonly RowOutput[]>;
  readonly #places: readonly { readonly sequence: Sequence; readonly slot: number }[];
  #tokens: readonly RowOutput[] = [];

  /** Takes note of a step that was just begun behind one that gives `before`. */
  constructor(
    entries: readonly StepEntry[],
    before: Promise<readonly RowOutput[]>,
    outputs: Promise<readonly RowOutput[]>,
  ) {
    this.outputs = outputs;
    this.#places = entries.map(({ sequence }) => ({ sequence, slot: sequence.slot(sequence.length) }));
    // Who asked for the step before is told of its failure, and whoever asks for this one of its own.
    before.then((outputs) => this.#tokens = outputs, () => {});
    outputs.catch(() => {});
  }

  /** Whether it is the step that is asked for: the same sequences as they were then, with the tokens that it has. */
  is(entries: readonly StepEntry[]): boolean {
    return entries.length === this.#places.length &&
      entries.every(({ sequence, tokens, outputs, logits }, i) => {
        const place = this.#places[i];
        return sequence === place.sequence && sequence.slot(sequence.length) === place.slot &&
          outputs === 1 &&
          !logits && tokens.length === 1 && tokens[0] === this.#tokens[i];
      });
  }
}
