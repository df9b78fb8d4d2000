/**
 * `embed`: a vector for each text.
 *
 * @module
 */
import type { EmbedInput } from "../generate/embed.ts";
import type { Pooling } from "../models/pooling.ts";
import { textArgument } from "./input.ts";
import { modelArgument, openModel } from "./open_model.ts";
import type { ModelOptions } from "./options.ts";
import { print, printJson } from "./output.ts";
import { UsageError } from "./usage_error.ts";

/** Options of `embed`. */
export interface EmbedCommandOptions extends ModelOptions {
  /** Token ids in place of texts, a list for each. */
  ids?: number[][];
  /** How the vectors of tokens become one. */
  pooling?: Pooling;
  /** Vectors have the length 1. */
  normalize: boolean;
}

/** Elements of a vector that people are shown. */
const SHOWN = 8;

/** Runs it; gives the exit code. The model comes first among the words, unless `--model` names it. */
export async function embed(
  words: readonly string[],
  options: EmbedCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  const { ids, pooling, normalize, json } = options;
  const [source, texts] = options.model === undefined ? [words[0], words.slice(1)] : [undefined, words];
  const inputs: EmbedInput[] = ids ?? [];
  if (ids && texts.length > 0) throw new UsageError("give texts or --ids, not both");
  for (const text of texts) inputs.push(await textArgument(text, signal));
  if (inputs.length === 0) throw new UsageError("there is no text, write one behind the model, or --ids");
  const opened = await openModel(modelArgument(source, options.model), options, signal, {
    lazyTokenizer: ids !== undefined,
  });
  await using model = opened.model;
  const dim = model.config.hiddenSize;
  // With --pooling none a text has a vector for each token.
  const embeddings = (await model.embed(inputs, { pooling, normalize, signal })).flatMap((vectors) =>
    Array.from(
      { length: vectors.length / dim },
      (_, i) => Array.from(vectors.subarray(i * dim, (i + 1) * dim)),
    )
  );
  if (json) printJson({ embeddings, dim });
  else {
    for (const vector of embeddings) {
      const start = vector.slice(0, SHOWN).map((x) => x.toFixed(6)).join(" ");
      print(`[${vector.length}] ${start}${vector.length > SHOWN ? " …" : ""}\n`);
    }
  }
  return 0;
}
