/**
 * `--profile` and `--trace`: where the time of a run went.
 *
 * @module
 */
import { createBackend } from "../backends/select.ts";
import type { BackendName } from "../backends/backend.ts";
import { PermissionError } from "../errors.ts";
import type { Profile } from "../trace/profile.ts";
import { measureRoof } from "../trace/roof.ts";
import { note } from "./output.ts";

/** Prints the table to standard error, and writes the trace where a file is named. */
export async function reportProfile(profile: Profile, backend: BackendName, trace?: string): Promise<void> {
  using fresh = await createBackend(backend, { threads: 0 });
  note(profile.table(await measureRoof(fresh)));
  if (trace === undefined) return;
  const { state } = await Deno.permissions.query({ name: "write", path: trace });
  if (state !== "granted") throw new PermissionError(`writing the trace ${trace}`, "-W");
  await Deno.writeTextFile(trace, JSON.stringify(profile.chromeTrace()));
  note(`the trace is in ${trace}; open it in ui.perfetto.dev or chrome://tracing`);
}
