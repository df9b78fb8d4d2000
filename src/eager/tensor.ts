/**
 * Tensors for users: operations are recorded, and computed together when the numbers are asked for.
 *
 * This is the one file of its folder, with `graph.ts` under it, that looks up to `program/`: a tensor is a face of the
 * recorder. No backend is imported; `data` is given one, or asks the one of {@linkcode setDefaultBackend}.
 *
 * @module
 */
import type { Backend } from "../backends/backend.ts";
import { OutOfBoundsError, ShapeError } from "../errors.ts";
import type { Activation, OpName, Reduction } from "../program/ops.ts";
import type { Attrs } from "../program/program.ts";
import { convertBytes, toNumbers } from "../tensor/convert.ts";
import { defaultBackend } from "./default_backend.ts";
import { byteLength, type DType } from "../tensor/dtype.ts";
import { evaluate, TensorNode } from "./graph.ts";
import {
  checkBlocks,
  checkShape,
  elementCount,
  normalizeAxis,
  resolveReshape,
  type Shape,
} from "../tensor/shape.ts";
import {
  copyView,
  inBlocks,
  isContiguous,
  permuteView,
  type Range,
  sliceView,
  transposeView,
  type View,
  wholeView,
} from "../tensor/view.ts";

export { type BackendFactory, setDefaultBackend } from "./default_backend.ts";
export type { Range } from "../tensor/view.ts";

/** What a tensor is computed with: another tensor, or a number that stands for a scalar one. */
export type Operand = Tensor | number;

/** Options of a reduction. */
export interface ReduceOptions {
  /** Keeps the reduced dimension, with length 1. By default it is dropped. */
  keepDim?: boolean;
}

/**
 * A tensor: elements that are known, or a recorded computation of them. Shapes and dtypes are checked when an operation
 * is recorded; numbers are computed when {@linkcode Tensor.data} asks for them. A tensor never changes.
 *
 * ```ts
 * import { createReferenceBackend } from "../backends/reference/mod.ts";
 * import { Tensor } from "./tensor.ts";
 *
 * const a = Tensor.from([1, 2, 3, 4], [2, 2]);
 * const y = a.matmul(a.transpose()).add(1).softmax();
 * console.log(y.shape, await y.data(createReferenceBackend()));
 * ```
 */
export class Tensor {
  readonly #node: TensorNode;
  readonly #view: View;
  /** The view's elements as a node of their own, once they were needed. */
  #elements?: TensorNode;

  private constructor(node: TensorNode, view: View = wholeView(node.shape)) {
    this.#node = node;
    this.#view = view;
  }

  /**
   * A tensor of numbers: I32 from an `Int32Array`, else F32. Without a shape it is a vector. The numbers are copied.
   *
   * ```ts
   * import { Tensor } from "./tensor.ts";
   * const matrix = Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]);
   * ```
   *
   * @throws {ShapeError} where the numbers do not fill the shape.
   */
  static from(data: readonly number[] | Float32Array | Int32Array, shape: Shape = [data.length]): Tensor {
    checkShape(shape);
    if (elementCount(shape) !== data.length) {
      throw new ShapeError(`${data.length} elements do not fill [${shape}]`);
    }
    const copy = data instanceof Int32Array ? data.slice() : Float32Array.from(data);
    const dtype = copy instanceof Int32Array ? "i32" : "f32";
    return new Tensor(TensorNode.ofBytes(dtype, [...shape], new Uint8Array(copy.buffer)));
  }

  /**
   * A tensor of any dtype from its bytes as they stand in a file, which are not copied and must not change.
   *
   * @throws {DTypeError} where rows are not whole blocks of a block-quantized dtype.
   * @throws {ShapeError} where the bytes do not fill the shape.
   */
  static fromBytes(dtype: DType, bytes: Uint8Array, shape: Shape): Tensor {
    checkShape(shape);
    checkBlocks(dtype, shape);
    const needed = byteLength(dtype, elementCount(shape));
    if (bytes.length !== needed) {
      throw new ShapeError(`${dtype}[${shape}] takes ${needed} bytes, and ${bytes.length} are given`);
    }
    return new Tensor(TensorNode.ofBytes(dtype, [...shape], bytes));
  }

  /**
   * Records any op of the op table.
   *
   * ```ts
   * import { Tensor } from "./tensor.ts";
   * const q = Tensor.from(new Float32Array(16), [1, 1, 2, 8]);
   * const [y] = Tensor.op("attention", [q, q, q], { causal: true, scale: 8 ** -0.5 });
   * ```
   */
  static op(name: OpName, inputs: readonly (Tensor | undefined)[], attrs: Attrs = {}): Tensor[] {
    const nodes = inputs.map((input) => input && input.#dense());
    return TensorNode.ofOp(name, nodes, attrs).map((node) => new Tensor(node));
  }

  /** Dimensions, outermost first. */
  get shape(): Shape {
    return this.#view.shape;
  }
  /** Steps between neighbours along each dimension, in elements. */
  get strides(): readonly number[] {
    return this.#view.strides;
  }
  /** Element type. */
  get dtype(): DType {
    return this.#node.dtype;
  }
  /** Number of elements. */
  get size(): number {
    return elementCount(this.shape);
  }

  /**
   * The numbers, one after another in row-major order; quantized and half-precision ones are widened. All that is
   * recorded up to here runs as one Program on `backend`, once: the result is kept.
   */
  async data(backend?: Backend): Promise<Float32Array | Int32Array> {
    return toNumbers(this.dtype, await this.bytes(backend));
  }

  /** As {@linkcode Tensor.data}, in the tensor's own dtype. */
  async bytes(backend?: Backend): Promise<Uint8Array> {
    const elements = await evaluate(this.#dense(), () => backend ?? defaultBackend());
    return elements.slice();
  }

  /** The number of a tensor of one element. */
  async item(backend?: Backend): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: [${this.shape}] has ${this.size} elements, not 1`);
    return (await this.data(backend))[0];
  }

  /** a + b, broadcasting. */
  add(other: Operand): Tensor {
    return this.#binary("add", other);
  }
  /** a - b, broadcasting. */
  sub(other: Operand): Tensor {
    return this.#binary("sub", other);
  }
  /** a · b elementwise, broadcasting. */
  mul(other: Operand): Tensor {
    return this.#binary("mul", other);
  }
  /** a / b, broadcasting. */
  div(other: Operand): Tensor {
    return this.#binary("div", other);
  }

  /** Matrix product, with broadcast batch dimensions; vectors as in PyTorch. */
  matmul(other: Tensor): Tensor {
    return Tensor.op("matmul", [this, other])[0];
  }
  /** x · weightᵀ + bias. weight: [out, in], of any dtype; bias: [out]. */
  linear(weight: Tensor, bias?: Tensor): Tensor {
    return Tensor.op("linear", [this, weight, bias])[0];
  }
  /**
   * Rows of this matrix by id, as F32: ids [...] give [..., width].
   *
   * @throws {OutOfBoundsError} where an id has no row; for ids that are computed themselves that is up to the backend.
   */
  embed(ids: Tensor): Tensor {
    const known = ids.dtype === "i32" ? ids.#dense().bytes : undefined;
    const stray = known && toNumbers("i32", known).find((id) => id < 0 || id >= this.shape[0]);
    if (stray !== undefined) {
      throw new OutOfBoundsError(`embed: the id ${stray} is outside 0..${this.shape[0] - 1}`);
    }
    return Tensor.op("embed", [ids, this])[0];
  }

  /** Softmax over one axis. A row of only -Infinity gives NaN, as in PyTorch. */
  softmax(axis = -1): Tensor {
    return Tensor.op("softmax", [this], { axis })[0];
  }
  /** Logarithm of the softmax over one axis. */
  logSoftmax(axis = -1): Tensor {
    return Tensor.op("softmax", [this], { axis, log: true })[0];
  }
  /** Layer norm over the last axis. */
  layerNorm(weight?: Tensor, bias?: Tensor, eps = 1e-5): Tensor {
    return Tensor.op("layerNorm", [this, weight, bias], { eps })[0];
  }
  /** RMS norm over the last axis; `weightOffset` is added to every weight (1 in Gemma). */
  rmsNorm(weight?: Tensor, eps = 1e-6, weightOffset = 0): Tensor {
    return Tensor.op("rmsNorm", [this, weight], { eps, weightOffset })[0];
  }

  /** GELU, exact or by its tanh approximation. */
  gelu(approximate: "none" | "tanh" = "none"): Tensor {
    return this.#activation(approximate === "tanh" ? "geluTanh" : "gelu");
  }
  /** x · sigmoid(1.702 x). */
  quickGelu(): Tensor {
    return this.#activation("quickGelu");
  }
  /** x · sigmoid(x). */
  silu(): Tensor {
    return this.#activation("silu");
  }
  /** max(x, 0). */
  relu(): Tensor {
    return this.#activation("relu");
  }
  /** 1 / (1 + e^-x). */
  sigmoid(): Tensor {
    return this.#activation("sigmoid");
  }
  /** Hyperbolic tangent. */
  tanh(): Tensor {
    return this.#activation("tanh");
  }

  /** Sum over one axis, or over everything. */
  sum(axis?: number, options?: ReduceOptions): Tensor {
    return this.#reduce("sum", axis, options);
  }
  /** Mean over one axis, or over everything. */
  mean(axis?: number, options?: ReduceOptions): Tensor {
    return this.#reduce("mean", axis, options);
  }
  /** Maximum over one axis, or over everything. */
  max(axis?: number, options?: ReduceOptions): Tensor {
    return this.#reduce("max", axis, options);
  }
  /** Position of the first maximum along an axis, as I32. NaN never wins. */
  argmax(axis = -1): Tensor {
    const last = this.shape.length - 1;
    const from = normalizeAxis(axis, this.shape.length);
    const order = this.shape.map((_, i) => i).filter((i) => i !== from);
    const moved = from === last ? this : this.permute([...order, from]);
    return Tensor.op("argmax", [moved])[0];
  }

  /** Joins two tensors along an axis. */
  concat(other: Tensor, axis = 0): Tensor {
    return Tensor.op("concat", [this, other], { axis })[0];
  }

  /**
   * The same elements under another shape, of which one dimension may be -1. A view where the elements stand one after
   * another, else a copy.
   *
   * @throws {ShapeError} where the element counts differ.
   */
  reshape(shape: Shape): Tensor {
    const to = resolveReshape(this.shape, shape);
    checkBlocks(this.dtype, to);
    if (!isContiguous(this.#view)) return new Tensor(this.#dense().reshape(to));
    return this.#viewed({ ...wholeView(to), offset: this.#view.offset });
  }
  /** The dimensions in another order: a view. */
  permute(dims: readonly number[]): Tensor {
    return this.#viewed(permuteView(this.#view, dims));
  }
  /** Two dimensions changed for one another, by default the last two: a view. */
  transpose(a = -1, b = -2): Tensor {
    return this.#viewed(transposeView(this.#view, a, b));
  }
  /**
   * A part of each dimension: a view. Dimensions without a range stay whole.
   *
   * ```ts
   * import { Tensor } from "./tensor.ts";
   * const x = Tensor.from([0, 1, 2, 3, 4, 5], [2, 3]);
   * x.slice([undefined, [0, 3, 2]]); // columns 0 and 2
   * ```
   *
   * @throws {OutOfBoundsError} where a range leaves its dimension.
   */
  slice(ranges: readonly Range[]): Tensor {
    return this.#viewed(sliceView(this.#view, ranges));
  }
  /**
   * A tensor whose elements stand one after another: this one where they do, else a copy.
   *
   * @throws {DTypeError} where the view cuts the blocks of a block-quantized dtype.
   */
  contiguous(): Tensor {
    return isContiguous(this.#view) ? this : new Tensor(this.#dense());
  }

  /**
   * The numbers in another dtype, converted on the host: narrowing rounds to nearest even, quantization is that of
   * ggml, and a conversion to I32 drops the fraction.
   *
   * @throws {DTypeError} where the dtype has no conversion, or rows are not whole blocks.
   */
  cast(dtype: DType): Tensor {
    if (dtype === this.dtype) return this;
    checkBlocks(dtype, this.shape);
    const from = this.dtype;
    return new Tensor(this.#dense().onHost(dtype, this.shape, (bytes) => convertBytes(from, dtype, bytes)));
  }

  #binary(name: "add" | "sub" | "mul" | "div", other: Operand): Tensor {
    return Tensor.op(name, [this, typeof other === "number" ? Tensor.from([other], []) : other])[0];
  }

  #activation(kind: Activation): Tensor {
    return Tensor.op("activation", [this], { kind })[0];
  }

  #reduce(kind: Reduction, axis: number | undefined, { keepDim = false }: ReduceOptions = {}): Tensor {
    if (axis !== undefined) return Tensor.op("reduce", [this], { kind, axis, keepDim })[0];
    const [total] = Tensor.op("reduce", [this.reshape([-1])], { kind, axis: 0 });
    return keepDim ? total.reshape(this.shape.map(() => 1)) : total;
  }

  #viewed(view: View): Tensor {
    return new Tensor(this.#node, view);
  }

  /** A node that holds just the elements of the view, in order. */
  #dense(): TensorNode {
    return this.#elements ??= this.#makeDense();
  }

  #makeDense(): TensorNode {
    const [node, view] = [this.#node, this.#view];
    const { shape, strides, offset } = view;
    if (isContiguous(view) && this.size === elementCount(node.shape)) {
      return shape.join() === node.shape.join() ? node : node.reshape(shape);
    }
    if (node.dtype === "f32") return TensorNode.ofOp("copy", [node], { offset, shape, strides })[0];
    // Throws now, not when the elements are wanted.
    inBlocks(node.dtype, view);
    return node.onHost(node.dtype, shape, (bytes) => copyView(node.dtype, bytes, view));
  }
}
