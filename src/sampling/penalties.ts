/**
 * Repetition, presence and frequency penalties.
 *
 * @module
 */

/** How much a token that was seen loses. */
export interface Penalties {
  /** Divides positive and multiplies negative logits (Keskar et al., "CTRL", 2019); 1 is off. */
  readonly repetitionPenalty: number;
  /** Is taken from the logit once. */
  readonly presencePenalty: number;
  /** Is taken from the logit for each time. */
  readonly frequencyPenalty: number;
  /** How many of the latest tokens count. */
  readonly repetitionWindow: number;
}

/** Whether these penalties can change a logit. */
export function penalizes(penalties: Penalties): boolean {
  const { repetitionPenalty, presencePenalty, frequencyPenalty, repetitionWindow } = penalties;
  return repetitionWindow > 0 &&
    (repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0);
}

/** Lowers the logits of the tokens in the window at the end of `history`. */
export function penalize(logits: Float32Array, history: readonly number[], penalties: Penalties): void {
  if (!penalizes(penalties)) return;
  const { repetitionPenalty, presencePenalty, frequencyPenalty, repetitionWindow } = penalties;
  const counts = new Map<number, number>();
  for (const id of history.slice(-repetitionWindow)) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts) {
    const scaled = logits[id] > 0 ? logits[id] / repetitionPenalty : logits[id] * repetitionPenalty;
    logits[id] = scaled - presencePenalty - count * frequencyPenalty;
  }
}
