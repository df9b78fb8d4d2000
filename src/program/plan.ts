/**
 * Plans a Program before any memory moves: what is fused, which weights are packed, where temporaries live in the
 * arena, and how many bytes it all takes.
 *
 * @module
 */
import { byteLength } from "../tensor/dtype.ts";
import { fuse } from "./fuse.ts";
import { lower, type OpSupport } from "./lower.ts";
import { OPS } from "./ops.ts";
import { ABSENT, capacityElements, type Program, storageOf, type Value } from "./program.ts";
import { stepLayout } from "./step.ts";

/** Alignment of temporaries in the arena, in bytes. */
export const ARENA_ALIGN = 64;

/** The ops between which a temporary must be kept: positions in `Program.ops`, both included. */
export interface Lifetime {
  /** Id of the value that owns the storage. */
  readonly id: number;
  /** Op that writes it first. */
  readonly first: number;
  /** Last op that touches it. */
  readonly last: number;
  /** Bytes at full capacity. */
  readonly bytes: number;
}

/** A Program made ready for one backend. */
export interface Plan {
  /** The fused and lowered Program. */
  readonly program: Program;
  /** Bytes of the arena. */
  readonly arenaBytes: number;
  /** Offset in the arena by value id, for values that own storage there. */
  readonly offsets: ReadonlyMap<number, number>;
  /** Words of the step record. */
  readonly stepWords: number;
}

/** Fuses and lowers for a backend, and places the temporaries. */
export function plan(program: Program, backend: OpSupport): Plan {
  const ready = lower(fuse(program, backend), backend);
  const { arenaBytes, offsets } = placeTemporaries(lifetimes(ready));
  return { program: ready, arenaBytes, offsets, stepWords: stepLayout(ready).words };
}

/** Names of the weights that an op wants packed; all others are plain F32 vectors. */
export function packedWeights(program: Program): Set<string> {
  const names = new Set<string>();
  for (const op of program.ops) {
    for (const input of OPS[op.name].packed ?? []) {
      const id = op.inputs[input];
      if (id !== ABSENT && program.values[id].kind === "weight") names.add(program.values[id].name);
    }
  }
  return names;
}

/** Bytes of a value at full capacity. */
export function valueBytes(value: Value, program: Program): number {
  return byteLength(value.dtype, capacityElements(value.shape, program.capacity));
}

/** When each temporary is first written and last touched. */
export function lifetimes(program: Program): Lifetime[] {
  const spans = new Map<number, { first: number; last: number }>();
  program.ops.forEach((op, position) => {
    for (const id of [...op.inputs, ...op.outputs]) {
      if (id === ABSENT) continue;
      const root = storageOf(program, id);
      if (program.values[root].kind !== "temp") continue;
      const span = spans.get(root);
      if (span) span.last = position;
      else spans.set(root, { first: position, last: position });
    }
  });
  return [...spans].map(([id, span]) => ({ id, ...span, bytes: valueBytes(program.values[id], program) }));
}

/**
 * Gives every temporary an offset so that those alive at once do not overlap: largest first, each in the lowest gap
 * that fits.
 */
function placeTemporaries(spans: readonly Lifetime[]): { arenaBytes: number; offsets: Map<number, number> } {
  const align = (bytes: number): number => Math.ceil(Math.max(bytes, 1) / ARENA_ALIGN) * ARENA_ALIGN;
  const placed: { span: Lifetime; start: number; end: number }[] = [];
  let arenaBytes = 0;
  for (const span of [...spans].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const size = align(span.bytes);
    const rivals = placed
      .filter((other) => other.span.first <= span.last && span.first <= other.span.last)
      .sort((a, b) => a.start - b.start);
    let start = 0;
    for (const rival of rivals) {
      if (start + size <= rival.start) break;
      start = Math.max(start, rival.end);
    }
    placed.push({ span, start, end: start + size });
    arenaBytes = Math.max(arenaBytes, start + size);
  }
  return { arenaBytes, offsets: new Map(placed.map(({ span, start }) => [span.id, start])) };
}
