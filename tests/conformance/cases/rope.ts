/** Cases of rotary position embedding. @module */
import type { CacheDType } from "../../../src/nn/decoder.ts";
import { wholeBlocks } from "../../../src/tensor/dtype.ts";
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

/** What a case of `ropeShift` varies. */
interface ShiftOptions {
  kvHeads?: number;
  headDim?: number;
  pageSize?: number;
  rotary: number;
  interleaved?: boolean;
  kv?: CacheDType;
}

/**
 * Keys of three pages are turned, one of them by nothing, and queries look at them.
 */
function shift(
  { kvHeads = 2, headDim = 16, pageSize = 8, rotary, interleaved = false, kv = "f32" }: ShiftOptions,
): OpCase {
  const [maxPages, width] = [3, kvHeads * headDim];
  const keys = maxPages * pageSize;
  const pageTable = Int32Array.of(4, 0, 3);
  const place = (i: number): number => pageTable[Math.floor(i / pageSize)] * pageSize + i % pageSize;
  return {
    name: `ropeShift ${kvHeads}x${headDim} rotary ${rotary}${interleaved ? " interleaved" : ""} ${kv}`,
    capacity: { rows: keys + 3, outputs: 5 },
    counts: { rows: keys, outputs: 5 },
    record(g) {
      const shape = [5, kvHeads, pageSize, wholeBlocks(kv, headDim)];
      const [keyCache, valueCache] = ["keys", "values"].map((name) => g.state(name, kv, shape));
      const [k, v] = ["k", "v"].map((name) => g.input(name, "f32", ["rows", width]));
      g.record("writeKv", [k, v, g.step("slots", "i32", ["rows"]), keyCache, valueCache]);
      const [table] = g.record("ropeTable", [g.step("shifts", "i32", ["outputs"])], {
        inverseFrequencies: inverseFrequencies(rotary / 2),
      });
      g.record("ropeShift", [table, g.step("pages", "i32", ["outputs"]), keyCache], { interleaved });
      const inputs = [
        g.input("q", "f32", ["outputs", width]),
        keyCache,
        valueCache,
        g.step("lengths", "i32", ["outputs"]),
        g.step("sequences", "i32", ["outputs"]),
        g.step("pageTable", "i32", [1, maxPages]),
      ];
      g.output("y", g.record("pagedAttention", inputs, { heads: kvHeads, scale: headDim ** -0.5 })[0]);
    },
    fillings: {
      k: normal((keys + 3) * width, 21),
      v: normal((keys + 3) * width, 22),
      q: normal(5 * width, 23),
      slots: Int32Array.from({ length: keys + 3 }, (_, i) => place(i)),
      pages: Int32Array.of(3, -1, 0, 4, -7),
      shifts: Int32Array.of(-32, -5, 0, -8000, 3),
      lengths: Int32Array.of(keys, 1, pageSize + 1, 2 * pageSize, keys - 1),
      pageTable,
    },
    // The last place may be rounded otherwise: 2^-11 of a number in F16, and of the greatest of its block 1/16383 in Q16
    // and 1/127 in Q8.
    tolerance: { f32: undefined, f16: 2e-3, q16: 5e-4, q8_0: 1e-2 }[kv],
  };
}

const shiftCases = [
  ...[false, true].flatMap((interleaved) => [
    shift({ rotary: 16, interleaved }),
    shift({ rotary: 6, headDim: 10, interleaved }),
    shift({ rotary: 32, headDim: 80, kvHeads: 1, pageSize: 32, interleaved }),
    shift({ rotary: 64, headDim: 64, kvHeads: 3, kv: "f16", pageSize: 32, interleaved }),
    shift({ rotary: 4, headDim: 8, kv: "f16", interleaved }),
    shift({ rotary: 64, headDim: 64, kvHeads: 3, kv: "q8_0", pageSize: 32, interleaved }),
    shift({ rotary: 20, headDim: 40, kv: "q8_0", interleaved }),
    shift({ rotary: 64, headDim: 64, kvHeads: 3, kv: "q16", pageSize: 32, interleaved }),
    shift({ rotary: 32, headDim: 128, kvHeads: 1, kv: "q16", pageSize: 32, interleaved }),
    shift({ rotary: 20, headDim: 40, kv: "q16", interleaved }),
  ]),
  shift({ rotary: 2, headDim: 4, pageSize: 4 }),
];

/** Tables of angles, and rotations of whole and part heads, both kinds of pairs, of rows and of what is in the cache. */
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
  ...shiftCases,
];
