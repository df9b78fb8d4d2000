/**
 * Prompts as token ids.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Token ids of a prompt. Special tokens written in a text count as such. */
export async function encodePrompt(
  prompt: string | readonly number[],
  tokenizer: Tokenizer | undefined,
): Promise<readonly number[]> {
  if (typeof prompt !== "string") return prompt;
  if (!tokenizer) throw new InvalidArgumentError("the model has no tokenizer; give the prompt as token ids");
  await tokenizer.prepare();
  return tokenizer.encode(prompt, { parseSpecial: true });
}
