/**
 * The commands and their arguments, parsed by `commander`. Parsing asks for no permission: whatever commander would
 * look up in the environment (colours, width) is answered here.
 *
 * @module
 */
import { Command, CommanderError, type OutputConfiguration } from "commander";
import settings from "../../deno.json" with { type: "json" };
import { addCommands, type Job } from "./commands.ts";
import { print } from "./output.ts";
import { UsageError } from "./usage_error.ts";
import { withVerb } from "./verbs.ts";

const OUTPUT: OutputConfiguration = {
  writeOut: print,
  // Errors are thrown, and told by whoever catches them.
  writeErr: () => {},
  getOutHelpWidth: () => Deno.stdout.isTerminal() ? Deno.consoleSize().columns : 100,
  getErrHelpWidth: () => 100,
  getOutHasColors: () => false,
  getErrHasColors: () => false,
};

const EXAMPLES = `
Examples:
  llmforge "Once upon a time"                      a story from the model built in
  llmforge run --model FILE.gguf --system "You are terse." "What is a cat?"
  echo "Once upon a time" | llmforge -             the prompt from standard input`;

/**
 * Parses the command line; nothing runs yet. Gives nothing where only help or version was asked for, which is printed.
 *
 * @throws {UsageError} where the arguments are wrong.
 */
export function parse(args: readonly string[], signal: AbortSignal): Job | undefined {
  let chosen: Job | undefined;
  const program = new Command("llmforge")
    .description(`${settings.name} ${settings.version}: language models in one module`)
    .usage('"PROMPT" [options]\n       llmforge COMMAND [arguments] [options]')
    .version(settings.version)
    .configureOutput(OUTPUT)
    .exitOverride()
    .addHelpText("after", EXAMPLES);
  const full = withVerb(args);
  addCommands(program, { signal, bare: full.length !== args.length, choose: (job) => chosen = job });
  try {
    program.parse(full, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(readable(error));
  }
  return chosen;
}

function readable({ code, message }: CommanderError): string {
  const text = message.replace(/^error: /, "").replace(/\n\(Did (.*)\)$/, ", did $1").replace(/\.$/, "");
  return code === "commander.excessArguments" ? `${text}; put a text with spaces in quotes` : text;
}
