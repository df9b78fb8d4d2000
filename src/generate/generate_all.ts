/**
 * Many prompts, results in order.
 *
 * @module
 */
import type { GenerateOptions, Generation, GenerationStats } from "./generation.ts";

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
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const results = new Array<GenerationResult>(prompts.length);
  const rest = prompts.entries();
  const worker = async (): Promise<void> => {
    for (const [i, prompt] of rest) {
      const generation = generate(prompt, { ...options, signal });
      results[i] = { text: await generation.text(), ...await generation.stats() };
    }
  };
  const workers = Array.from({ length: Math.min(width, prompts.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    failed.abort();
    await Promise.allSettled(workers);
    throw error;
  }
  return results;
}
