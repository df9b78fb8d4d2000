/**
 * Compares a run with an earlier one. Its rule is in `docs/benchmarks.md`.
 *
 * @module
 */
import { median, relativeSpread } from "../support/statistics.ts";
import type { Figures, Unit } from "./settings.ts";

/** What became of one figure. */
export interface Verdict {
  /** Name of the test. */
  readonly test: string;
  /** How many times as good as before; NaN where there is nothing to compare with. */
  readonly ratio: number;
  /** How far below 1 the ratio may be. */
  readonly tolerance: number;
  /** The judgement. `lost`: was measured before, and is not available now. */
  readonly kind: "regression" | "lost" | "same" | "better" | "new";
}

/** Below this, a difference is never called one: what clocks, caches and the page layout of a process give or take. */
const FLOOR: Readonly<Record<Unit, number>> = { "tok/s": 0.04, ms: 0.1 };
/** How many joint deviations the medians may differ by. */
const DEVIATIONS = 2;
/** However noisy the runs were, half the speed is a regression. */
const CEILING = 0.5;

/** Judges every test of both runs. */
export function judge(
  before: Readonly<Record<string, Figures>>,
  now: Readonly<Record<string, Figures>>,
): Verdict[] {
  const tests = new Set([...Object.keys(now), ...Object.keys(before)]);
  return [...tests].map((test) => judgeOne(test, before[test], now[test]));
}

/** How far the ratio of two medians may be from 1 by noise alone. */
export function tolerance(before: Figures, now: Figures): number {
  const noise = Math.hypot(relativeSpread(before.values), relativeSpread(now.values));
  return Math.min(CEILING, Math.max(FLOOR[now.unit], DEVIATIONS * noise));
}

function judgeOne(test: string, before: Figures | undefined, now: Figures | undefined): Verdict {
  if (before === undefined) return { test, ratio: NaN, tolerance: NaN, kind: "new" };
  if (now === undefined) return { test, ratio: NaN, tolerance: NaN, kind: "lost" };
  const growth = median(now.values) / median(before.values);
  const ratio = now.unit === "ms" ? 1 / growth : growth;
  const allowed = tolerance(before, now);
  const kind = ratio < 1 - allowed ? "regression" : ratio > 1 + allowed ? "better" : "same";
  return { test, ratio, tolerance: allowed, kind };
}

/** Whether a verdict fails the comparison. */
export function fails({ kind }: Verdict): boolean {
  return kind === "regression" || kind === "lost";
}
