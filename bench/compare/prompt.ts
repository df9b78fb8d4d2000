/**
 * Texts of a given number of tokens, for a peer that takes text only.
 *
 * @module
 */
import { openModelFile } from "../../src/formats/open.ts";
import { modelTokenizer } from "../../src/model_files.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";

/** A text and how many tokens it is. */
export interface Prompt {
  /** Text. */
  readonly text: string;
  /** Its tokens, those included that the model puts around a text. */
  readonly tokens: number;
}

const PARAGRAPH =
  "Once upon a time there was a small boat that wanted to see the sea. Every morning the river " +
  "carried leaves and twigs past it, and every evening the boat asked how far it was. Nobody knew. ";

/** Makes texts with the tokenizer of a model file. */
export async function promptMaker(model: string): Promise<(tokens: number) => Prompt> {
  const file = await openModelFile(model);
  try {
    const tokenizer = await modelTokenizer(file);
    if (tokenizer === undefined) {
      throw new Error(`${file.name} has no tokenizer, and this peer takes text only`);
    }
    await tokenizer.prepare();
    return (tokens) => ({ text: textOf(tokenizer, tokens), tokens });
  } finally {
    file.close();
  }
}

/** Cuts a long text where its tokens are as many as wanted. */
function textOf(tokenizer: Tokenizer, tokens: number): string {
  const ids = tokenizer.encode(PARAGRAPH.repeat(Math.ceil(tokens / 16)));
  // A cut may change how the last word is split, so the neighbours are tried too.
  for (let count = tokens; count <= Math.min(tokens + 4, ids.length); count++) {
    const text = tokenizer.decode(ids.slice(0, count));
    if (tokenizer.encode(text).length === tokens) return text;
  }
  throw new Error(`no text of ${tokens} tokens was found`);
}
