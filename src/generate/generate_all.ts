/**
 * Many prompts, results in order.
 *
 * @module
 */
import type { GenerateOptions, Generation, GenerationStats } from "./generation.ts";
import { together } from "./together.ts";

/** What became of a prompt. */
export interface GenerationResult extends GenerationStats {
  /** The generated text; empty for a model without tokenizer. */
  readonly text: string;
}

type Generate = (prompt: string | readonly number[], options: GenerateOptions) => Generation;

/** Generates for all prompts, at most `width` at once. */
export async function generateAll(
  generate: Generate,
  prompts: readonly (string | readonly number[])[],
  options: GenerateOptions,
  width: number,
): Promise<GenerationResult[]> {
  const results = new Array<GenerationResult>(prompts.length);
  const rest = prompts.entries();
  await together(Math.min(width, prompts.length), options.signal, async (signal) => {
    for (const [i, prompt] of rest) {
      const generation = generate(prompt, { ...options, signal });
      results[i] = { text: await generation.text(), ...await generation.stats() };
    }
  });
  return results;
}
