/**
 * The reference kernels by op. Fused ops are left out on purpose: they are lowered, so that every lowering is run.
 *
 * @module
 */
import type { OpName } from "../../program/ops.ts";
import { attention, pagedAttention } from "./attention.ts";
import { activation, binary } from "./elementwise.ts";
import type { Kernel } from "./kernel.ts";
import { linear, matmul, matmulExperts } from "./matmul.ts";
import { layerNorm, rmsNorm } from "./norms.ts";
import { argmax, reduce, softmax, topK } from "./reductions.ts";
import { rope, ropeTable } from "./rope.ts";
import { ropeShift } from "./rope_shift.ts";
import { concat, copy, embed, gatherRows } from "./rows.ts";
import { writeKv } from "./write_kv.ts";

/** A kernel for every base op. */
export const KERNELS: Readonly<Partial<Record<OpName, Kernel>>> = {
  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: binary((a, b) => a * b),
  div: binary((a, b) => a / b),
  activation,
  reduce,
  argmax,
  softmax,
  topK,
  layerNorm,
  rmsNorm,
  matmul,
  linear,
  matmulExperts,
  embed,
  gatherRows,
  copy,
  concat,
  ropeTable,
  rope,
  writeKv,
  pagedAttention,
  attention,
  ropeShift,
};
