/**
 * Reads text from standard input or a file.
 *
 * @module
 */
import { InvalidFileError } from "../errors.ts";
import { UsageError } from "./usage_error.ts";

/** What means standard input in the place of a text or file. */
const STDIN = "-";

/**
 * A text from the command line; `-` stands for standard input, of which one line break at the end is left out
 * (`echo` puts one there).
 */
export async function textArgument(argument: string, signal: AbortSignal): Promise<string> {
  if (argument !== STDIN) return argument;
  return (await readStdin(signal)).replace(/\r?\n$/, "");
}

/** The text of a file, as it is; `-` stands for standard input. */
export async function fileArgument(path: string, signal: AbortSignal): Promise<string> {
  if (path === STDIN) return await readStdin(signal);
  const { openSource } = await import("../formats/source.ts");
  const source = await openSource(path);
  try {
    return decode(await source.read(0, source.size), path);
  } finally {
    source.close();
  }
}

async function readStdin(signal: AbortSignal): Promise<string> {
  if (Deno.stdin.isTerminal()) throw new UsageError("- reads standard input, pipe a text into it");
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  const bytes = await Promise.race([new Response(Deno.stdin.readable).bytes(), interrupted]);
  return decode(bytes, "standard input");
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidFileError("the text is not UTF-8, convert it first", { file: name }, { cause });
  }
}
