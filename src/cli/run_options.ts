/**
 * The options of `run`, beside the common ones.
 *
 * @module
 */
import { Option } from "./option.ts";
import { generationOptions, modelOptions, profileOptions, tokenIds } from "./options.ts";
import { number, whole } from "./values.ts";

/** All beams are rows of one step, which has no more. */
const MAX_BEAMS = 128;
/** Beyond this, powers of a length are no numbers any more. */
const MAX_PENALTY = 100;

/** Makes them. */
export function runOptions(): Option[] {
  return [
    ...modelOptions(),
    new Option("--prompt-ids <ids>", "token ids such as 1,2,3 in place of the prompt").argParser(tokenIds),
    new Option("--system <text>", "answer the prompt as a chat with these instructions"),
    new Option("--raw", "complete the prompt as it stands, as without --system").conflicts("system"),
    ...generationOptions(),
    new Option("--beams <n>", "search for the n likeliest texts and print the best").argParser(
      whole(1, MAX_BEAMS),
    )
      .conflicts("stop"),
    new Option("--length-penalty <x>", "with --beams: above 0 prefers long texts; default: 1").argParser(
      number(-MAX_PENALTY, MAX_PENALTY),
    ),
    new Option("--early-stopping", "with --beams: stop as soon as n texts have ended"),
    ...profileOptions(),
  ];
}
