/** Cases of rotary position embedding. @module */
import { normal } from "../../support/random.ts";
import type { OpCase } from "../case.ts";

const POSITIONS = Int32Array.of(0, 1, 17, 1000, 131071);

/** `n` angles with the frequencies of base `theta`. */
export function inverseFrequencies(n: number, theta = 10000): number[] {
  return Array.from({ length: n }, (_, i) => theta ** (-i / n));
}

function table(n: number, scale: number, theta: number): OpCase {
  return {
    name: `ropeTable n=${n} scale ${scale} theta ${theta}`,
    capacity: { rows: 7, outputs: 0 },
    counts: { rows: 5, outputs: 0 },
    record(g) {
      const positions = g.step("positions", "i32", ["rows"]);
      const attrs = { inverseFrequencies: inverseFrequencies(n, theta), scale };
      g.output("y", g.record("ropeTable", [positions], attrs)[0]);
    },
    fillings: { positions: POSITIONS },
  };
}

function rope(heads: number, headDim: number, rotary: number, interleaved: boolean): OpCase {
  const width = heads * headDim;
  return {
    name: `rope ${heads}x${headDim} rotary ${rotary}${interleaved ? " interleaved" : ""}`,
    capacity: { rows: 7, outputs: 0 },
    counts: { rows: 5, outputs: 0 },
    record(g) {
      const positions = g.step("positions", "i32", ["rows"]);
      const attrs = { inverseFrequencies: inverseFrequencies(rotary / 2) };
      const [angles] = g.record("ropeTable", [positions], attrs);
      const x = g.input("x", "f32", ["rows", width]);
      g.output("y", g.record("rope", [x, angles], { heads, interleaved })[0]);
    },
    fillings: { positions: POSITIONS, x: normal(7 * width, width) },
  };
}

/** Tables of angles, and rotations of whole and part heads, both kinds of pairs. */
export const ropeCases: readonly OpCase[] = [
  table(1, 1, 10000),
  table(4, 1, 10000),
  table(33, 1.25, 1e6),
  ...[false, true].flatMap((interleaved) => [
    rope(1, 2, 2, interleaved),
    rope(2, 8, 8, interleaved),
    rope(3, 64, 64, interleaved),
    rope(2, 80, 32, interleaved),
    rope(3, 10, 6, interleaved),
  ]),
];
