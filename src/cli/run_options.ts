/**
 * The options of `run`, beside the common ones.
 *
 * @module
 */
import { Option } from "./option.ts";
import { generationOptions, modelOptions, profileOptions, tokenIds } from "./options.ts";

/** Makes them. */
export function runOptions(): Option[] {
  return [
    ...modelOptions(),
    new Option("--prompt-ids <ids>", "token ids such as 1,2,3 in place of the prompt").argParser(tokenIds),
    new Option("--system <text>", "answer the prompt as a chat with these instructions"),
    new Option("--raw", "complete the prompt as it stands, as without --system").conflicts("system"),
    ...generationOptions(),
    ...profileOptions(),
  ];
}
