/**
 * Says what went wrong in one line, and with which exit code the program ends.
 *
 * @module
 */
import { LLMForgeError } from "../errors.ts";
import { note } from "./output.ts";
import { UsageError } from "./usage_error.ts";

/** Exit code of a failed run. */
export const EXIT_FAILED = 1;
/** Exit code of wrong usage. */
export const EXIT_USAGE = 2;

/** Options of the library, and the flags by which the command line calls them. */
const FLAGS: Readonly<Record<string, string>> = {
  contextLength: "--context",
  maxTokens: "--max-tokens",
};

/** Prints an error as one line, and goes on. */
export function noteError(error: unknown): void {
  note(`llmforge: ${oneLine(describe(error))}`);
}

/** Prints an error as one line, with the stack where `verbose`, and gives the exit code. */
export function reportError(error: unknown, verbose: boolean): number {
  // The reader has what it wanted (`| head -1`): that is a success.
  if (error instanceof Deno.errors.BrokenPipe) return 0;
  noteError(error);
  if (verbose && error instanceof Error) note(stackOf(error));
  return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
}

function describe(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}; see llmforge --help`;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof LLMForgeError) {
    return message.replace(/\b(contextLength|maxTokens)\b/g, (name) => FLAGS[name]);
  }
  const name = error instanceof Error ? error.name : "error";
  return `unexpected ${name}: ${message}; run it again with --verbose and report what it prints`;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ");
}

function stackOf(error: Error): string {
  const stack = error.stack ?? "";
  return error.cause instanceof Error ? `${stack}\nCaused by: ${stackOf(error.cause)}` : stack;
}
