/**
 * What a kernel tells the compiler: which entry point of which shader to dispatch on which operands.
 *
 * @module
 */
import { UnsupportedOpError } from "../../errors.ts";
import type { OpName } from "../../program/ops.ts";
import type { Dim, Op, Value } from "../../program/program.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { SHADERS } from "./generated/shaders.gen.ts";
import type { PackedLayout } from "./weights.ts";

/** Name of a shader file. */
export type ShaderName = keyof typeof SHADERS;

/** Invocations of a workgroup, in every kernel. */
export const WORKGROUP_SIZE = 64;

/** What is bound at one binding number. */
export type Operand =
  /** A value of the Program. */
  | { readonly kind: "value"; readonly value: Value; readonly writes: boolean }
  /** Data that the kernel brings: as storage, or as a uniform. */
  | { readonly kind: "data"; readonly data: Uint32Array | Int32Array; readonly uniform: boolean }
  /** Stands for an optional input that is not given; the kernel does not read it. */
  | { readonly kind: "absent" };

/** One dispatch of a step. */
export interface Dispatch {
  /** Shader file. */
  readonly shader: ShaderName;
  /** Function in it. */
  readonly entry: string;
  /** Values of its `override` constants. */
  readonly constants: Readonly<Record<string, number>>;
  /** Operands by binding number. Binding 0 is the count. */
  readonly operands: Readonly<Record<number, Operand>>;
  /** The count at which the kernel stops. */
  readonly rows: Dim;
  /** Workgroups that so many rows need. */
  groups(rows: number): number;
  /** Whether to dispatch for so many rows; always, where it is left out. */
  when?(rows: number): boolean;
}

/** An op with its values looked up. */
export interface OpView {
  /** The op. */
  readonly op: Op;
  /** Its inputs in table order; `undefined` for one that is absent. */
  readonly inputs: readonly (Value | undefined)[];
  /** Its outputs. */
  readonly outputs: readonly Value[];
  /** The layout of a packed weight among the inputs. */
  layoutOf(weight: Value): PackedLayout;
}

/** A row of the kernel table. */
export interface Kernel {
  /** Whether there is a kernel for inputs of these dtypes (absent ones left out). */
  supports(dtypes: readonly DType[]): boolean;
  /** The dispatches of an op; none where nothing is to be computed. */
  dispatches(view: OpView): Dispatch[];
}

/** The input at a position that the op table says is always there. */
export function input(view: OpView, position: number): Value {
  const value = view.inputs[position];
  if (!value) throw new UnsupportedOpError("webgpu", `${view.op.name} without input ${position}`, []);
  return value;
}

/** An operand that is only read. */
export function reads(value: Value | undefined): Operand {
  return value ? { kind: "value", value, writes: false } : { kind: "absent" };
}

/** An operand that is written. */
export function writes(value: Value): Operand {
  return { kind: "value", value, writes: true };
}

/** Words that a kernel reads as a uniform. */
export function uniform(data: Uint32Array | Int32Array): Operand {
  return { kind: "data", data, uniform: true };
}

/** Words that a kernel reads as storage. */
export function storage(data: Uint32Array | Int32Array): Operand {
  return { kind: "data", data, uniform: false };
}

/** Eight words for each list: an array<vec4, 2> of the shader. */
export function vectors(...lists: readonly (readonly number[])[]): Int32Array {
  const words = new Int32Array(8 * lists.length);
  lists.forEach((list, i) => words.set(list, 8 * i));
  return words;
}

/** Product of dimensions that do not depend on the step. */
export function product(dims: readonly Dim[]): number {
  return dims.reduce<number>((all, dim) => {
    if (typeof dim === "string") throw new UnsupportedOpError("webgpu", `an inner dimension of ${dim}`, []);
    return all * dim;
  }, 1);
}

/** The outermost dimension, which may be a step count, and the elements for each of it. */
export function rowsOf(shape: readonly Dim[]): { rows: Dim; width: number } {
  return { rows: shape[0] ?? 1, width: product(shape.slice(1)) };
}

/** Workgroups for kernels in which an invocation makes one of `perRow` things for each row. */
export function byElement(perRow: number): (rows: number) => number {
  return (rows) => Math.ceil(rows * perRow / WORKGROUP_SIZE);
}

/** Workgroups for kernels in which a workgroup makes one of `perRow` things for each row. */
export function byWorkgroup(perRow: number): (rows: number) => number {
  return (rows) => rows * perRow;
}

/** A `supports` that wants F32 in front and I32 where `pattern` says `i`; what is beyond the pattern is F32. */
export function dtypesLike(pattern: string): (dtypes: readonly DType[]) => boolean {
  return (dtypes) => dtypes.every((dtype, i) => dtype === (pattern[i] === "i" ? "i32" : "f32"));
}

/** Kernels by op. */
export type KernelTable = Readonly<Partial<Record<OpName, Kernel>>>;
