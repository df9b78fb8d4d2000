/**
 * The history of benchmarks: a file a machine, a line of JSON a configuration and run, the newest last.
 *
 * @module
 */
import { type Machine, machineSlug, type Revision } from "../support/machine.ts";
import type { Figures, Settings } from "./settings.ts";

/** One line. */
export interface HistoryEntry {
  /** When it was measured, ISO 8601. */
  readonly time: string;
  /** What was measured: commit, and whether the source differed from it. */
  readonly revision: Revision;
  /** On which machine. */
  readonly machine: Machine;
  /** Versions of the runtime. */
  readonly runtime: string;
  /** Load average of the last minute before the run, on systems that know it. */
  readonly load: number;
  /** Device and its features. */
  readonly device?: string;
  /** How it was measured. */
  readonly settings: Settings;
  /** All repeats by test. */
  readonly figures: Readonly<Record<string, Figures>>;
  /** Why a test has no figures, by test. */
  readonly unavailable: Readonly<Record<string, string>>;
}

const FOLDER = new URL("../history/", import.meta.url);

/** The file of a machine. */
export function historyFile(machine: Machine): URL {
  return new URL(`${machineSlug(machine)}.jsonl`, FOLDER);
}

/** Appends a line. */
export async function appendEntry(entry: HistoryEntry): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  await Deno.writeTextFile(historyFile(entry.machine), `${JSON.stringify(entry)}\n`, { append: true });
}

/** The last entry of the same machine and settings, if there is one. */
export async function lastEntry(machine: Machine, settings: Settings): Promise<HistoryEntry | undefined> {
  const lines = await readLines(historyFile(machine));
  const entries = lines.map((line) => JSON.parse(line) as HistoryEntry);
  return entries.findLast((entry) =>
    canonical(entry.settings) === canonical(settings) && canonical(entry.machine) === canonical(machine)
  );
}

async function readLines(file: URL): Promise<string[]> {
  try {
    return (await Deno.readTextFile(file)).split("\n").filter((line) => line !== "");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Text that is equal where the fields are, in whatever order they stand. */
function canonical(value: object): string {
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
