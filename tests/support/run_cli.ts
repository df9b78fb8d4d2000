/**
 * Runs the real command line in a process of its own, never with more permissions than a test names.
 *
 * @module
 */
import { assertEquals } from "./assert.ts";

const ROOT = new URL("../../", import.meta.url);

/** Path of a fixture, relative to the folder in which the command line runs. */
export const FIXTURES = "tests/fixtures";

/** How to run it. */
export interface CliOptions {
  /** Flags for `deno run`, such as `-R`. Default: none. */
  permissions?: readonly string[];
  /** Variables of the environment, beside those of this process. Default: none. */
  env?: Readonly<Record<string, string>>;
  /** Standard input. Default: empty. */
  stdin?: string;
}

/** What it printed, and its exit code. */
export interface CliResult {
  /** Exit code. */
  readonly code: number;
  /** Standard output. */
  readonly stdout: string;
  /** Standard error. */
  readonly stderr: string;
}

/** Starts the command line. */
export function startCli(
  args: readonly string[],
  { permissions = [], env, stdin }: CliOptions = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, "cli.ts", ...args],
    cwd: ROOT,
    env: { ...env },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs it to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, options);
  if (options.stdin !== undefined) {
    await new Blob([options.stdin]).stream().pipeTo(child.stdin).catch(() => undefined);
  }
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs it with `--json`, which must succeed, and gives the object on the last line. */
// deno-lint-ignore no-explicit-any -- tests say what they expect of it
export async function runJson(args: readonly string[], options: CliOptions = {}): Promise<any> {
  const { code, stdout, stderr } = await runCli([...args, "--json"], options);
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
}
