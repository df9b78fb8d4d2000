/**
 * Draws cost by length as SVG: a point a length, and the line through them.
 *
 * @module
 */
import type { Line, Point } from "./line.ts";

/** A curve of the plot. */
export interface Curve {
  /** What it shows. */
  readonly label: string;
  /** The measured points. */
  readonly points: readonly Point[];
  /** The line through them. */
  readonly line: Line;
}

const WIDTH = 760;
const HEIGHT = 420;
const MARGIN = { left: 56, right: 24, top: 44, bottom: 64 };
const COLORS = ["#0b7a75", "#b3541e"];
const INK = "#1f2933";
const GRID = "#d9dee4";

/** The plot. */
export function plot(curves: readonly Curve[], title: string, note: string): string {
  const points = curves.flatMap((curve) => curve.points);
  const [longest, dearest] = [
    Math.max(...points.map(({ length }) => length)),
    1.1 * Math.max(...points.map(({ milliseconds }) => milliseconds)),
  ];
  const x = (length: number): string =>
    (MARGIN.left + length / longest * (WIDTH - MARGIN.left - MARGIN.right)).toFixed(1);
  const y = (milliseconds: number): string =>
    (HEIGHT - MARGIN.bottom - milliseconds / dearest * (HEIGHT - MARGIN.top - MARGIN.bottom)).toFixed(1);
  const step = 10 ** Math.floor(Math.log10(dearest / 2));
  const grid = Array.from({ length: Math.floor(dearest / step) + 1 }, (_, i) => i * step);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="${INK}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="16" y="22" font-weight="bold">${title}</text>`,
    ...grid.flatMap((value) => [
      `<line x1="${x(0)}" x2="${x(longest)}" y1="${y(value)}" y2="${y(value)}" stroke="${GRID}"/>`,
      `<text x="${MARGIN.left - 6}" y="${y(value)}" text-anchor="end" dy="4">${value}</text>`,
    ]),
    ...curves[0].points.map(({ length }) =>
      `<text x="${x(length)}" y="${HEIGHT - MARGIN.bottom + 16}" text-anchor="middle" font-size="10">${
        length < 1024 ? "" : `${length / 1024}k`
      }</text>`
    ),
    ...curves.flatMap(({ label, points, line }, i) => [
      `<line x1="${x(0)}" y1="${y(line.base)}" x2="${x(longest)}" y2="${
        y(line.base + line.slope * longest)
      }" stroke="${COLORS[i]}" stroke-dasharray="4 3"/>`,
      ...points.map(({ length, milliseconds }) =>
        `<circle cx="${x(length)}" cy="${y(milliseconds)}" r="3.5" fill="${COLORS[i]}"/>`
      ),
      `<text x="${MARGIN.left + 14}" y="${MARGIN.top + 16 * i + 6}" fill="${COLORS[i]}">${label}</text>`,
    ]),
    `<text x="${WIDTH / 2}" y="${HEIGHT - 28}" text-anchor="middle">tokens of context</text>`,
    `<text x="16" y="${HEIGHT - 10}" font-size="11">${note}</text>`,
    "</svg>",
    "",
  ].join("\n");
}
