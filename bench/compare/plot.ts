/**
 * Draws a comparison as SVG: a panel for prefill and one for decode, a bar for each engine and thread count, with a
 * line from the slowest to the fastest round.
 *
 * @module
 */
import { median } from "../support/statistics.ts";
import { type Comparison, roundsText, type Series, seriesLabel } from "./results.ts";

const WIDTH = 760;
const LABEL_WIDTH = 190;
const VALUE_WIDTH = 80;
const BAR = 18;
const GAP = 8;
const TITLE = 34;
const OURS = "#0b7a75";
const THEIRS = "#9aa5b1";
const INK = "#1f2933";

/** The plot. */
export function plot({ series, model, machine, rounds }: Comparison): string {
  const panelHeight = TITLE + series.length * (BAR + GAP);
  const height = 2 * panelHeight + 70;
  const panels = (["prefill", "decode"] as const).map((metric, i) =>
    panel(series, metric, 12 + i * (panelHeight + 10))
  );
  const notes = [
    `${model}, ${roundsText(rounds)}; line: slowest to fastest`,
    `${machine.cpu}, ${machine.cores} cores`,
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...panels,
    ...notes.map((note, i) =>
      `<text x="16" y="${height - 28 + 16 * i}" font-size="11" fill="${INK}">${escape(note)}</text>`
    ),
    "</svg>",
    "",
  ].join("\n");
}

function panel(series: readonly Series[], metric: "prefill" | "decode", top: number): string {
  const most = Math.max(...series.flatMap(({ figures }) => figures[metric]));
  const scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most;
  const bars = series.map((one, i) => bar(one, metric, top + TITLE + i * (BAR + GAP), scale));
  const title = `${metric}, tokens a second (more is better)`;
  return [`<text x="16" y="${top + 14}" font-weight="bold" fill="${INK}">${title}</text>`, ...bars].join(
    "\n",
  );
}

function bar(series: Series, metric: "prefill" | "decode", top: number, scale: number): string {
  const figures = series.figures[metric];
  const middle = top + BAR / 2;
  const [length, low, high] = [median(figures), Math.min(...figures), Math.max(...figures)].map((x) =>
    x * scale
  );
  const at = (x: number): string => (LABEL_WIDTH + x).toFixed(1);
  const color = series.peer === "llmforge" ? OURS : THEIRS;
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end" fill="${INK}">${
      escape(seriesLabel(series))
    }</text>`,
    `<rect x="${LABEL_WIDTH}" y="${top}" width="${length.toFixed(1)}" height="${BAR}" fill="${color}"/>`,
    `<line x1="${at(low)}" x2="${at(high)}" y1="${middle}" y2="${middle}" stroke="${INK}"/>`,
    `<text x="${at(high + 8)}" y="${middle + 4}" fill="${INK}">${median(figures).toFixed(1)}</text>`,
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
