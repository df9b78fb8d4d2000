/**
 * Prints figures for people.
 *
 * @module
 */
import { threadText } from "../support/options.ts";
import { median, relativeSpread } from "../support/statistics.ts";
import type { HistoryEntry } from "./history.ts";
import { fails, type Verdict } from "./regression.ts";
import { type Figures, unitOf } from "./settings.ts";

/** One line that says what was measured. */
export function headline({ settings, revision, time }: HistoryEntry, rounds?: number): string {
  const commit = `${revision.commit ?? "no commit"}${revision.changed ? " with changes" : ""}`;
  const what = `${settings.model} on ${settings.backend}, ${threadText(settings.threads)}`;
  return `${what}, ${commit}${
    rounds === undefined ? `, ${time}` : rounds === 1 ? ", one round" : `, medians of ${rounds} rounds`
  }`;
}

/** A line for each test: median, spread, and where there is one the verdict. */
export function figuresText({ figures, unavailable }: HistoryEntry, verdicts: readonly Verdict[]): string {
  const verdictOf = new Map(verdicts.map((verdict) => [verdict.test, verdict]));
  const lines = Object.entries(figures).map(([test, measured]) =>
    `  ${test.padEnd(16)}${figureText(measured)}${verdictText(verdictOf.get(test))}`
  );
  for (const [test, reason] of Object.entries(unavailable)) {
    lines.push(`  ${test.padEnd(16)}not available: ${reason}`);
  }
  for (const { test } of verdicts.filter(({ kind }) => kind === "lost")) {
    lines.push(`  ${test.padEnd(16)}LOST: was measured before (${unitOf(test)}), and is not now`);
  }
  return lines.join("\n");
}

function figureText({ unit, values }: Figures): string {
  const spread = values.length > 1 ? `± ${(100 * relativeSpread(values)).toFixed(1)} %` : "";
  return `${median(values).toFixed(1).padStart(9)} ${unit.padEnd(6)}${spread.padStart(9)}`;
}

function verdictText(verdict: Verdict | undefined): string {
  if (verdict === undefined || verdict.kind === "lost") return "";
  if (verdict.kind === "new") return "   new";
  const { ratio, tolerance, kind } = verdict;
  const allowed = `tolerance ${(100 * tolerance).toFixed(0)} %`;
  return `   ratio ${ratio.toFixed(3)}, ${allowed}${
    kind === "same" ? "" : `, ${fails(verdict) ? "REGRESSION" : "better"}`
  }`;
}
