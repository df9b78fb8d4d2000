/**
 * From arguments to an exit code. Little is imported here: what a command needs is imported when it runs, and
 * `commander` where a command line is not plain.
 *
 * @module
 */
import { importPackage } from "../import_package.ts";
import { EXIT_INTERRUPTED, interruptSignal } from "./interrupt.ts";
import { plainRun } from "./plain_run.ts";
import { reportError } from "./report.ts";

/** Runs the command line and gives the exit code; errors are told on standard error. */
export async function main(args: readonly string[]): Promise<number> {
  const signal = interruptSignal();
  try {
    const job = plainRun(args, signal) ??
      (await importPackage("commander", () => import("./parse.ts"))).parse(args, signal);
    return job === undefined ? 0 : await job();
  } catch (error) {
    if (signal.aborted) return EXIT_INTERRUPTED;
    return reportError(error, args.includes("--verbose"));
  }
}
