/**
 * ropeTable, rope and ropeShift.
 *
 * @module
 */
import { UnsupportedOpError } from "../../../errors.ts";
import {
  byElement,
  byWorkgroup,
  type Dispatch,
  dtypesLike,
  input,
  type KernelTable,
  type OpView,
  product,
  reads,
  rowsOf,
  storage,
  writes,
} from "../dispatch.ts";
import { checkQ8Page } from "./attention.ts";

const TWO_32 = 2 ** 32;

/**
 * Turns that one position adds, modulo 1, as 64-bit fractions, upper word first. A position is a whole number, so
 * whole turns change nothing; what an F64 cannot hold of the fraction is below 1e-11 turns at position 131,072.
 */
export function turnFractions(inverseFrequencies: readonly number[]): Uint32Array {
  const words = new Uint32Array(2 * inverseFrequencies.length);
  inverseFrequencies.forEach((frequency, i) => {
    const turns = frequency / (2 * Math.PI);
    const fraction = (turns - Math.floor(turns)) * TWO_32;
    words[2 * i] = Math.floor(fraction);
    words[2 * i + 1] = Math.floor((fraction - Math.floor(fraction)) * TWO_32);
  });
  return words;
}

/** Widest key that `ropeShift` turns in Q8 (shaders/rope_shift_q8.wgsl). */
const MAX_Q8_HEAD_DIM = 512;

/** `ropeShift` of keys in Q8. */
function shiftQ8(view: OpView): Dispatch[] {
  const [table, pages, keys] = [0, 1, 2].map((i) => input(view, i));
  checkQ8Page(view, keys);
  const [, kvHeads, pageSize, headDim] = keys.shape.map((dim) => product([dim]));
  if (headDim > MAX_Q8_HEAD_DIM) {
    throw new UnsupportedOpError("webgpu", `ropeShift of keys above ${MAX_Q8_HEAD_DIM}`, ["q8_0"]);
  }
  return [{
    shader: "rope_shift_q8",
    entry: "ropeShiftQ8",
    constants: {
      PAIRS: product(table.shape.slice(1)) / 2,
      HEAD_DIM: headDim,
      PAGE_SIZE: pageSize,
      KEYS: kvHeads * pageSize,
      INTERLEAVED: view.op.attrs.interleaved ? 1 : 0,
    },
    operands: { 1: reads(table), 2: reads(pages), 3: writes(keys) },
    rows: pages.shape[0],
    groups: byWorkgroup(kvHeads * pageSize),
  }];
}

/** The rotary position kernels. */
export const ROPE: KernelTable = {
  ropeTable: {
    supports: dtypesLike("i"),
    dispatches(view) {
      const [out] = view.outputs;
      const frequencies = view.op.attrs.inverseFrequencies as readonly number[];
      return [{
        shader: "rope",
        entry: "ropeTable",
        constants: { PAIRS: frequencies.length, SCALE: view.op.attrs.scale as number },
        operands: { 1: reads(input(view, 0)), 2: storage(turnFractions(frequencies)), 3: writes(out) },
        rows: out.shape[0],
        groups: byElement(frequencies.length),
      }];
    },
  },
  rope: {
    supports: dtypesLike("ff"),
    dispatches(view) {
      const [x, table] = [input(view, 0), input(view, 1)];
      const [out] = view.outputs;
      const { rows, width } = rowsOf(out.shape);
      return [{
        shader: "rope",
        entry: "rope",
        constants: {
          PAIRS: product(table.shape.slice(1)) / 2,
          HEAD_DIM: width / (view.op.attrs.heads as number),
          WIDTH: width,
          INTERLEAVED: view.op.attrs.interleaved ? 1 : 0,
        },
        operands: { 3: writes(out), 4: reads(x), 5: reads(table) },
        rows,
        groups: byElement(width),
      }];
    },
  },
  ropeShift: {
    supports: ([table, pages, keys]) =>
      table === "f32" && pages === "i32" && ["f32", "f16", "q8_0"].includes(keys),
    dispatches(view) {
      const [table, pages, keys] = [0, 1, 2].map((i) => input(view, i));
      const [, kvHeads, pageSize, headDim] = keys.shape.map((dim) => product([dim]));
      if (keys.dtype === "q8_0") return shiftQ8(view);
      const half = keys.dtype === "f16";
      // Two keys would share a word, and race.
      if (half && headDim % 2 === 1) {
        throw new UnsupportedOpError("webgpu", "ropeShift of an odd head width", ["f16"]);
      }
      return [{
        shader: "rope_shift",
        entry: "ropeShift",
        constants: {
          PAIRS: product(table.shape.slice(1)) / 2,
          HEAD_DIM: headDim,
          KEYS: kvHeads * pageSize,
          INTERLEAVED: view.op.attrs.interleaved ? 1 : 0,
          HALF: half ? 1 : 0,
        },
        operands: { 1: reads(table), 2: reads(pages), 3: writes(keys) },
        rows: pages.shape[0],
        groups: byElement(kvHeads * pageSize),
      }];
    },
  },
};
