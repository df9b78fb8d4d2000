/**
 * The first word on the command line: a command, or the prompt of the default one.
 *
 * @module
 */
import { UsageError } from "./usage_error.ts";

/** The commands, in the order of the help text. */
export const VERBS = [
  "run",
  "chat",
  "inspect",
  "convert",
  "tokenize",
  "logits",
  "embed",
  "eval",
  "bench",
  "batch",
  "doctor",
] as const;

/** Names of commands that do not exist (yet): as a prompt each would be a surprise. */
const RESERVED: readonly string[] = ["serve", "pull", "finetune"];

/** First words that are no prompt either. */
const COMMANDER: readonly string[] = ["help", "--help", "-h", "--version", "-V"];

/**
 * Puts the default command in front where no command is named, so that the first argument may be the prompt.
 *
 * A single bare word that is the name of a command is never taken for a prompt, known command or not: who wants a
 * story about a batch writes `run batch`.
 *
 * @throws {UsageError} where a command is named that does not exist, or is not the first word.
 */
export function withVerb(args: readonly string[]): string[] {
  const [first] = args;
  if (isVerb(first) || COMMANDER.includes(first)) return [...args];
  if (RESERVED.includes(first)) {
    throw new UsageError(`unknown command ${first}, the commands are ${VERBS.join(", ")}`);
  }
  return ["run", ...args];
}

/**
 * Checks the prompt of a command line that named no command.
 *
 * @throws {UsageError} where it is the name of a command that stands after an option.
 */
export function checkBarePrompt(prompt: string | undefined): void {
  if (prompt === undefined) return;
  if (RESERVED.includes(prompt)) throw new UsageError(`unknown command ${prompt}`);
  if (isVerb(prompt)) throw new UsageError(`${prompt} is a command, write it before all options`);
}

function isVerb(word: string | undefined): boolean {
  return VERBS.some((verb) => verb === word);
}
