/**
 * `tokenize`: the ids and pieces of a text. No weights are read.
 *
 * @module
 */
import { TokenizerError } from "../errors.ts";
import { modelTokenizer } from "../model_files.ts";
import { table } from "./format.ts";
import { textArgument } from "./input.ts";
import { openFileOf } from "./open_file.ts";
import type { CommonOptions } from "./options.ts";
import { print, printJson } from "./output.ts";
import { UsageError } from "./usage_error.ts";

/** Options of `tokenize`. */
export interface TokenizeOptions extends CommonOptions {
  /** Special tokens in the text count as such. */
  special?: boolean;
}

/** Runs it; gives the exit code. */
export async function tokenize(
  first: string | undefined,
  second: string | undefined,
  { special, json }: TokenizeOptions,
  signal: AbortSignal,
): Promise<number> {
  // The model comes first and may be left out.
  const [source, argument] = second === undefined ? [undefined, first] : [first, second];
  if (argument === undefined) throw new UsageError("there is no text, write one");
  const text = await textArgument(argument, signal);
  const { file, name } = await openFileOf(source);
  try {
    const tokenizer = await modelTokenizer(file);
    if (!tokenizer) {
      throw new TokenizerError(`${name} has no tokenizer; put its tokenizer.json beside it`);
    }
    await tokenizer.prepare();
    const ids = tokenizer.encode(text, { parseSpecial: special === true });
    const pieces = ids.map((id) => tokenizer.piece(id));
    if (json) printJson({ ids, pieces });
    else print(table(ids.map((id, i) => [`${id}`, JSON.stringify(pieces[i])])));
    return 0;
  } finally {
    file.close();
  }
}
