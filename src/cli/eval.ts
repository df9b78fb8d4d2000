/**
 * `eval`: the perplexity of a text.
 *
 * @module
 */
import { fileArgument } from "./input.ts";
import { modelArgument, openModel } from "./open_model.ts";
import type { ModelOptions } from "./options.ts";
import { print, printJson } from "./output.ts";

/** Options of `eval`. */
export interface EvalOptions extends ModelOptions {
  /** Text file. */
  text: string;
}

/** Runs it; gives the exit code. */
export async function evaluate(
  source: string | undefined,
  options: EvalOptions,
  signal: AbortSignal,
): Promise<number> {
  const text = await fileArgument(options.text, signal);
  const opened = await openModel(modelArgument(source, options.model), options, signal, {
    lazyTokenizer: false,
  });
  await using model = opened.model;
  const score = await model.score(model.tokenizer.encode(text), model.contextLength, signal);
  if (options.json) printJson({ perplexity: score.perplexity, nll: score.nll, tokens: score.tokens });
  else {
    const { perplexity, nll, tokens } = score;
    print(`perplexity ${perplexity.toFixed(4)}, ${nll.toFixed(6)} nats a token, ${tokens} tokens\n`);
  }
  return 0;
}
