/**
 * writeKv, pagedAttention and dense attention.
 *
 * @module
 */
import { UnsupportedOpError } from "../../../errors.ts";
import type { Value } from "../../../program/program.ts";
import { byteLength, type DType, DTYPES } from "../../../tensor/dtype.ts";
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
  writes,
} from "../dispatch.ts";

/** Widest value row: 64 lanes of 8 elements (lib/attend.wgsl). */
const MAX_VALUE_DIM = 512;
const Q8_BLOCK = DTYPES.q8_0.blockSize;

const isPlainCache = (dtype: DType): boolean => dtype === "f32" || dtype === "f16";
/** Keys and values are both in Q8, or neither is. */
const areCaches = (keys: DType, values: DType): boolean =>
  keys === "q8_0" ? values === "q8_0" : isPlainCache(keys) && isPlainCache(values);
const isHalf = (value: Value): number => (value.dtype === "f16" ? 1 : 0);
const isQ8 = (value: Value): number => (value.dtype === "q8_0" ? 1 : 0);

function checkValueDim(view: OpView, valueDim: number): void {
  if (valueDim <= MAX_VALUE_DIM) return;
  throw new UnsupportedOpError("webgpu", `${view.op.name} of value rows above ${MAX_VALUE_DIM}`, ["f32"]);
}

/** Throws where scales of two heads, or of two pages, would share a word: a part of a page must have whole words. */
export function checkQ8Page(view: OpView, cache: Value): void {
  const [pageSize, width] = cache.shape.slice(2).map((dim) => product([dim]));
  if (isQ8(cache) === 0 || byteLength("q8_0", pageSize * width) % 4 === 0) return;
  throw new UnsupportedOpError("webgpu", `${view.op.name} of odd pages of odd blocks`, ["q8_0"]);
}

/** What both kinds of attention share. Keys and values are [pages or batch, kvHeads, keys, …]. */
function attentionConstants(
  view: OpView,
  [keys, values]: readonly [Value, Value],
  { heads, headDim, valueDim }: { heads: number; headDim: number; valueDim: number },
): Record<string, number> {
  const kvHeads = product(keys.shape.slice(1, 2));
  checkValueDim(view, valueDim);
  return {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    VALUE_DIM: valueDim,
    SCALE: view.op.attrs.scale as number,
    SOFTCAP: view.op.attrs.softcap as number,
    WINDOW: view.op.attrs.window as number,
    KEYS_HALF: isHalf(keys),
    VALUES_HALF: isHalf(values),
    IS_Q8: isQ8(keys),
  };
}

/** `writeKv` to caches in Q8. */
function writeQ8(view: OpView): Dispatch[] {
  const [k, v, slots, keys, values] = [0, 1, 2, 3, 4].map((i) => input(view, i));
  for (const cache of [keys, values]) checkQ8Page(view, cache);
  const [, kvHeads, pageSize, keyWidth] = keys.shape.map((dim) => product([dim]));
  const valueWidth = product(values.shape.slice(3));
  return [{
    shader: "write_kv_q8",
    entry: "writeKvQ8",
    constants: {
      KV_HEADS: kvHeads,
      PAGE_SIZE: pageSize,
      KEY_DIM: product(k.shape.slice(1)) / kvHeads,
      VALUE_DIM: product(v.shape.slice(1)) / kvHeads,
    },
    operands: { 1: reads(k), 2: reads(v), 3: reads(slots), 4: writes(keys), 5: writes(values) },
    rows: k.shape[0],
    groups: byElement(kvHeads * (keyWidth + valueWidth) / Q8_BLOCK),
  }];
}

/** The attention kernels. */
export const ATTENTION: KernelTable = {
  writeKv: {
    supports: ([k, v, slots, keys, values]) =>
      k === "f32" && v === "f32" && slots === "i32" && areCaches(keys, values),
    dispatches(view) {
      const [k, v, slots, keys, values] = [0, 1, 2, 3, 4].map((i) => input(view, i));
      if (isQ8(keys)) return writeQ8(view);
      const [, kvHeads, pageSize, keyDim] = keys.shape.map((dim) => product([dim]));
      const valueDim = product(values.shape.slice(3));
      // Two F16 of one head share a word; of two heads they would race.
      if ((isHalf(keys) && keyDim % 2 === 1) || (isHalf(values) && valueDim % 2 === 1)) {
        throw new UnsupportedOpError("webgpu", "writeKv of an odd head width", ["f16"]);
      }
      const words = kvHeads * (keyDim >> isHalf(keys)) + kvHeads * (valueDim >> isHalf(values));
      return [{
        shader: "write_kv",
        entry: "writeKv",
        constants: {
          KV_HEADS: kvHeads,
          PAGE_SIZE: pageSize,
          KEY_DIM: keyDim,
          VALUE_DIM: valueDim,
          KEYS_HALF: isHalf(keys),
          VALUES_HALF: isHalf(values),
        },
        operands: { 1: reads(k), 2: reads(v), 3: reads(slots), 4: writes(keys), 5: writes(values) },
        rows: k.shape[0],
        groups: byElement(words),
      }];
    },
  },
  pagedAttention: {
    supports: ([q, keys, values, lengths, sequences, pageTable, slopes]) =>
      q === "f32" && areCaches(keys, values) && lengths === "i32" && sequences === "i32" &&
      pageTable === "i32" && (slopes === undefined || slopes === "f32"),
    dispatches(view) {
      const [q, keys, values, lengths, sequences, pageTable] = [0, 1, 2, 3, 4, 5].map((i) => input(view, i));
      const [slopes, bias, positions] = [6, 7, 8].map((i) => view.inputs[i]);
      if (bias || positions) {
        throw new UnsupportedOpError("webgpu", "pagedAttention with a relative bias", ["f32"]);
      }
      for (const cache of [keys, values]) checkQ8Page(view, cache);
      const heads = view.op.attrs.heads as number;
      const headDim = product(q.shape.slice(1)) / heads;
      const valueDim = product(view.outputs[0].shape.slice(1)) / heads;
      return [{
        shader: "paged_attention",
        entry: "pagedAttention",
        constants: {
          ...attentionConstants(view, [keys, values], { heads, headDim, valueDim }),
          HAS_SLOPES: slopes ? 1 : 0,
          PAGE_SIZE: product(keys.shape.slice(2, 3)),
          MAX_PAGES: product(pageTable.shape.slice(1)),
        },
        operands: {
          1: reads(q),
          2: reads(keys),
          3: reads(values),
          4: reads(slopes),
          5: writes(view.outputs[0]),
          6: reads(lengths),
          7: reads(sequences),
          8: reads(pageTable),
        },
        rows: q.shape[0],
        groups: byWorkgroup(heads),
      }];
    },
  },
  attention: {
    supports: dtypesLike("ffffff"),
    dispatches(view) {
      const [q, keys, values] = [0, 1, 2].map((i) => input(view, i));
      const [mask, slopes, bias] = [view.inputs[3], view.inputs[4], view.inputs[5]];
      if (bias || mask?.shape.length === 4) {
        throw new UnsupportedOpError("webgpu", "attention with a mask or bias for each score", ["f32"]);
      }
      const [batches, heads, queries, headDim] = q.shape.map((dim) => product([dim]));
      const valueDim = product(values.shape.slice(3));
      return [{
        shader: "attention",
        entry: "attention",
        constants: {
          ...attentionConstants(view, [keys, values], { heads, headDim, valueDim }),
          HAS_SLOPES: slopes ? 1 : 0,
          HAS_MASK: mask ? 1 : 0,
          QUERIES: queries,
          KEYS: product(keys.shape.slice(2, 3)),
          CAUSAL: view.op.attrs.causal ? 1 : 0,
          PAST: view.op.attrs.past as number,
        },
        operands: {
          1: reads(q),
          2: reads(keys),
          3: reads(values),
          4: reads(slopes),
          5: writes(view.outputs[0]),
          6: reads(mask),
        },
        rows: batches,
        groups: byWorkgroup(heads * queries),
      }];
    },
  },
};
