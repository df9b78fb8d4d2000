/**
 * Results of a comparison: gathered run by run, written as JSON, as a table and as a plot.
 *
 * @module
 */
import type { Machine, Revision } from "../support/machine.ts";
import { threadText } from "../support/options.ts";
import { median, relativeSpread } from "../support/statistics.ts";
import type { Peer, PeerRun, Task } from "./peers.ts";

/** What is measured. */
export type Metric = "prefill" | "decode" | "load_ms";

/** All runs of one peer at one thread count. */
export interface Series {
  /** Name of the peer. */
  readonly peer: string;
  /** What it is. */
  readonly about: string;
  /** Its version. */
  readonly version: string;
  /** Threads that it used. */
  readonly threads: number;
  /** Tokens of its prefill. */
  readonly promptTokens: number;
  /** Tokens that it decoded. */
  readonly genTokens: number;
  /** One figure a round. */
  readonly figures: Readonly<Record<Metric, number[]>>;
}

/** A whole comparison. */
export interface Comparison {
  readonly time: string;
  readonly revision: Revision;
  readonly machine: Machine;
  readonly runtime: string;
  readonly model: string;
  readonly modelBytes: number;
  readonly rounds: number;
  readonly series: Series[];
  /** Peers that were left out, and why. */
  readonly skipped: { peer: string; reason: string }[];
}

/** Adds a run to the series of its peer and thread count. */
export function addRun(series: Series[], peer: Peer, task: Task, run: PeerRun): void {
  const { name, about } = peer;
  let mine = series.find((candidate) => candidate.peer === name && candidate.threads === run.threads);
  if (mine === undefined) {
    const { promptTokens, genTokens } = task;
    const figures = { prefill: [], decode: [], load_ms: [] };
    mine = {
      peer: name,
      about,
      version: run.version,
      threads: run.threads,
      promptTokens,
      genTokens,
      figures,
    };
    series.push(mine);
  }
  for (const metric of ["prefill", "decode", "load_ms"] as const) {
    mine.figures[metric].push(Number(run[metric].toPrecision(5)));
  }
}

/** The table, in Markdown: medians, their spread, and how many times as fast as the peer LLMForge is. */
export function table(comparison: Comparison): string {
  const { machine, model, modelBytes, rounds, runtime, revision, time, skipped } = comparison;
  const commit = `${revision.commit ?? "no commit"}${revision.changed ? " with changes" : ""}`;
  const lines = [
    `# ${model} (${(modelBytes / 1e6).toFixed(1)} MB)`,
    "",
    `${machine.cpu}, ${machine.cores} cores, ${machine.flags.join(" ")}; ${runtime}; LLMForge ${commit}; ` +
    `${time.slice(0, 10)}; ${roundsText(rounds)}; “ratio” is LLMForge's speed over the peer's.`,
    "",
    "| engine | threads | prefill, tok/s | decode, tok/s | load, ms | prefill ratio | decode ratio |",
    "|---|---|---|---|---|---|---|",
  ];
  for (const series of comparison.series) {
    const { peer, about, version, threads, promptTokens, genTokens, figures } = series;
    const ours = comparison.series.find((other) => other.peer === "llmforge" && other.threads === threads);
    const cells = [
      `${peer} ${version} (${about})`,
      `${threads}`,
      `${cell(figures.prefill)} (${promptTokens} tokens)`,
      `${cell(figures.decode)} (${genTokens} tokens)`,
      median(figures.load_ms).toFixed(0),
      ratio(ours?.figures.prefill, figures.prefill),
      ratio(ours?.figures.decode, figures.decode),
    ];
    lines.push(`| ${cells.join(" | ")} |`);
  }
  for (const { peer, reason } of skipped) lines.push("", `${peer} was left out: ${reason}.`);
  return `${lines.join("\n")}\n`;
}

/** `medians of 3 interleaved rounds`. */
export function roundsText(rounds: number): string {
  return rounds === 1 ? "one round" : `medians of ${rounds} interleaved rounds`;
}

/** Name of a series for plots and logs. */
export function seriesLabel({ peer, threads }: Pick<Series, "peer" | "threads">): string {
  return `${peer}, ${threadText(threads)}`;
}

function cell(figures: readonly number[]): string {
  const middle = median(figures).toFixed(1);
  return figures.length < 2 ? middle : `${middle} ± ${(100 * relativeSpread(figures)).toFixed(0)} %`;
}

function ratio(ours: readonly number[] | undefined, theirs: readonly number[]): string {
  return ours === undefined ? "–" : (median(ours) / median(theirs)).toFixed(2);
}
