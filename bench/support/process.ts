/**
 * Reads what a child process prints, line by line as it comes.
 *
 * @module
 */

/** A program with its arguments. */
export interface Command {
  /** Program. */
  readonly program: string;
  /** Arguments. */
  readonly args: readonly string[];
}

/**
 * Runs a program to its end and hands over each line of its standard output when it comes.
 *
 * @throws {Error} with what it wrote to standard error, where it fails.
 */
export async function runLines({ program, args }: Command, onLine: (line: string) => void): Promise<void> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const complaint = new Response(child.stderr).text();
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
  const { success, code } = await child.status;
  if (success) return;
  throw new Error(
    `${program} ended with exit code ${code}: ${(await complaint).trim() || "it said nothing"}`,
  );
}

/** The object on the last line that a program prints. */
export async function lastJson<T>(command: Command): Promise<T> {
  let last = "";
  await runLines(command, (line) => {
    if (line.trim() !== "") last = line;
  });
  return JSON.parse(last) as T;
}
