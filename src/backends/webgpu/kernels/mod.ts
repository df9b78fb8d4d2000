/**
 * The kernel table: an op that is not in it is lowered, or refused at compile.
 *
 * @module
 */
import type { KernelTable } from "../dispatch.ts";
import { ATTENTION } from "./attention.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { LAYOUT } from "./layout.ts";
import { LINES } from "./line.ts";
import { PACKED } from "./linear.ts";
import { MATMUL } from "./matmul.ts";
import { NORMS } from "./norm.ts";
import { ROPE } from "./rope.ts";

/** All kernels by op. */
export const KERNELS: KernelTable = {
  ...ELEMENTWISE,
  ...NORMS,
  ...LINES,
  ...PACKED,
  ...MATMUL,
  ...LAYOUT,
  ...ROPE,
  ...ATTENTION,
};
