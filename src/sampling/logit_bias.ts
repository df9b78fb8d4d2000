/**
 * Logit bias: makes named tokens likelier, less likely or impossible.
 *
 * @module
 */
import { OutOfBoundsError } from "../errors.ts";

/** Adds each bias to the logit of its token. */
export function biasLogits(logits: Float32Array, biases: readonly (readonly [number, number])[]): void {
  for (const [id, bias] of biases) {
    if (id >= logits.length) {
      throw new OutOfBoundsError(`logitBias names token ${id}, but the vocabulary has ${logits.length}`);
    }
    logits[id] += bias;
  }
}
