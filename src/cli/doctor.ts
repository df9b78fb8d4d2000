/**
 * `doctor`: which backends work on this machine, and which one is chosen.
 *
 * @module
 */
import { probeBackends, selectBackend } from "../backends/select.ts";
import { BackendUnavailableError } from "../errors.ts";
import { table } from "./format.ts";
import type { CommonOptions } from "./options.ts";
import { print, printJson } from "./output.ts";

/** Runs it; gives the exit code. */
export async function doctor({ json }: CommonOptions): Promise<number> {
  const chosen = await chosenBackend();
  const backends = await probeBackends();
  if (json) {
    printJson({
      chosen,
      backends: backends.map(({ name, available, reason, device = null }) => ({
        name,
        available,
        reason,
        device,
      })),
    });
    return 0;
  }
  const rows = backends.map(({ name, available, reason, device = "" }) => [
    name === chosen ? "*" : " ",
    name,
    available ? "works" : "unavailable",
    device,
    reason,
  ]);
  print(table(rows));
  print(chosen === null ? "no backend can be used here\n" : `chosen: ${chosen}\n`);
  return 0;
}

async function chosenBackend(): Promise<string | null> {
  try {
    const { backend } = await selectBackend();
    backend[Symbol.dispose]();
    return backend.name;
  } catch (error) {
    if (error instanceof BackendUnavailableError) return null;
    throw error;
  }
}
