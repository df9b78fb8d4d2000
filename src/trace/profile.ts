/**
 * Where the time of a model goes: by op and by layer, beside what the machine could do, and as a trace for viewers.
 *
 * @module
 */
import type { OpTimes } from "../backends/backend.ts";
import { opCost } from "../program/cost.ts";
import type { Capacity, Op, Program } from "../program/program.ts";
import type { Roof } from "./roof.ts";

/** One op of one step. */
interface Span {
  readonly op: string;
  readonly layer: string;
  readonly phase: string;
  readonly start: number;
  readonly milliseconds: number;
  readonly multiplyAdds: number;
  readonly bytes: number;
}

/** Time and work of a group of ops. */
export interface ProfileRow {
  /** What is grouped: an op, a layer, or a phase. */
  readonly name: string;
  /** How many ops were run. */
  readonly calls: number;
  /** Their time. */
  readonly milliseconds: number;
  /** Multiply-adds, in thousands of millions a second. */
  readonly gigaMultiplyAdds: number;
  /** Bytes that had to be read and written, in thousands of millions a second. */
  readonly gigabytes: number;
}

/** Collects the times of steps. */
export class Profile {
  readonly #spans: Span[] = [];
  #clock = 0;

  /** Adds a step. `keys` is the sum over its rows of the keys that each sees. */
  add({ program, milliseconds }: OpTimes, counts: Capacity, keys: number): void {
    const phase = counts.rows > 1 ? "prefill" : "decode";
    let layer = "before the layers";
    program.ops.forEach((op, i) => {
      layer = layerOf(program, op) ?? layer;
      const time = milliseconds[i];
      this.#spans.push({
        op: op.name,
        layer,
        phase,
        start: this.#clock,
        milliseconds: time,
        ...opCost(program, op, counts, keys),
      });
      this.#clock += time;
    });
  }

  /** Sums by op, by layer or by phase, the longest first. */
  by(group: "op" | "layer" | "phase", phase?: "prefill" | "decode"): ProfileRow[] {
    const sums = new Map<
      string,
      { calls: number; milliseconds: number; multiplyAdds: number; bytes: number }
    >();
    for (const span of this.#spans) {
      if (phase !== undefined && span.phase !== phase) continue;
      const sum = sums.get(span[group]) ?? { calls: 0, milliseconds: 0, multiplyAdds: 0, bytes: 0 };
      sums.set(span[group], {
        calls: sum.calls + 1,
        milliseconds: sum.milliseconds + span.milliseconds,
        multiplyAdds: sum.multiplyAdds + span.multiplyAdds,
        bytes: sum.bytes + span.bytes,
      });
    }
    const rows = [...sums].map(([name, { calls, milliseconds, multiplyAdds, bytes }]) => ({
      name,
      calls,
      milliseconds,
      gigaMultiplyAdds: milliseconds > 0 ? multiplyAdds / milliseconds / 1e6 : 0,
      gigabytes: milliseconds > 0 ? bytes / milliseconds / 1e6 : 0,
    }));
    return rows.sort((a, b) => b.milliseconds - a.milliseconds);
  }

  /** A table that people can read: prefill and decode by op, then all by layer. */
  table(roof?: Roof): string {
    const parts: string[] = [];
    if (roof) {
      parts.push(
        `the machine, one thread: ${roof.gigaMultiplyAdds.toFixed(1)} G multiply-adds/s, ` +
          `${roof.gigabytes.toFixed(1)} GB/s`,
      );
    }
    for (const phase of ["prefill", "decode"] as const) {
      const rows = this.by("op", phase);
      if (rows.length > 0) parts.push(rowsText(`${phase} by op`, rows));
    }
    parts.push(rowsText("by layer", this.by("layer")));
    return parts.join("\n\n");
  }

  /** The steps in Chrome's trace event format, which Perfetto opens too. */
  chromeTrace(): { traceEvents: Record<string, unknown>[] } {
    const traceEvents = this.#spans.map((span) => ({
      name: span.op,
      cat: span.phase,
      ph: "X",
      // Microseconds.
      ts: span.start * 1000,
      dur: span.milliseconds * 1000,
      pid: 1,
      tid: 1,
      args: { layer: span.layer, multiplyAdds: span.multiplyAdds, bytes: span.bytes },
    }));
    return { traceEvents };
  }
}

/** The layer that an op's weights or caches belong to; nothing where it has none. */
function layerOf(program: Program, op: Op): string | undefined {
  for (const id of op.inputs) {
    const value = program.values[id];
    if (value?.kind !== "weight" && value?.kind !== "state") continue;
    const layer = /^(?:layers|cache)\.(\d+)\./.exec(value.name);
    return layer ? `layer ${layer[1]}` : op.name === "embed" ? "embedding" : "head";
  }
  return undefined;
}

function rowsText(title: string, rows: readonly ProfileRow[]): string {
  const total = rows.reduce((sum, row) => sum + row.milliseconds, 0);
  const lines = rows.map((row) =>
    [
      row.name.padEnd(18),
      `${row.milliseconds.toFixed(1)} ms`.padStart(12),
      `${(row.milliseconds / total * 100).toFixed(1)} %`.padStart(8),
      `${row.calls}`.padStart(8),
      row.gigaMultiplyAdds.toFixed(1).padStart(8),
      row.gigabytes.toFixed(1).padStart(8),
    ].join("")
  );
  const head = [
    title.padEnd(18),
    "time".padStart(12),
    "share".padStart(8),
    "calls".padStart(8),
    "GMAC/s".padStart(8),
    "GB/s".padStart(8),
  ];
  return [head.join(""), ...lines].join("\n");
}
