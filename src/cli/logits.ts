/**
 * `logits`: what the model says after the last of some tokens.
 *
 * @module
 */
import type { Model } from "../model.ts";
import { likeliest } from "../sampling/top_k.ts";
import { table } from "./format.ts";
import { modelArgument, openModel } from "./open_model.ts";
import type { ModelOptions } from "./options.ts";
import { print, printJson } from "./output.ts";

/** Options of `logits`. */
export interface LogitsOptions extends ModelOptions {
  /** Token ids. */
  ids: number[];
  /** Token ids for the decoder of an encoder–decoder. */
  decoderIds?: number[];
  /** Only the highest. */
  top?: number;
}

/** How many logits are shown to people who do not say how many. */
const SHOWN = 10;

/** Runs it; gives the exit code. */
export async function logits(
  source: string | undefined,
  options: LogitsOptions,
  signal: AbortSignal,
): Promise<number> {
  const { ids, decoderIds, top, json } = options;
  const opened = await openModel(modelArgument(source, options.model), options, signal, {
    lazyTokenizer: true,
  });
  await using model = opened.model;
  const row = await model.logits(ids, decoderIds, signal);
  const best = likeliest(row, top ?? SHOWN);
  const pairs = best.map(({ id, logit }): [number, number] => [id, logit]);
  if (json) {
    const values = top === undefined ? { logits: Array.from(row) } : { top: pairs };
    printJson({ ids, argmax: best[0].id, ...values });
  } else print(table(pairs.map(([id, logit]) => [`${id}`, logit.toFixed(4), piece(model, id)])));
  return 0;
}

function piece(model: Model, id: number): string {
  return model.hasTokenizer ? JSON.stringify(model.tokenizer.piece(id)) : "";
}
