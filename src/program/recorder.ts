/**
 * Records a Program: each method checks its operands by the op table and gives a reference to the result.
 *
 * @module
 */
import { DTypeError, InvalidArgumentError, OutOfBoundsError, ShapeError } from "../errors.ts";
import { type DType, WEIGHT_DTYPES } from "../tensor/dtype.ts";
import { resolveReshape } from "../tensor/shape.ts";
import { type Activation, completeAttrs, type OpName, OPS, type Reduction } from "./ops.ts";
import {
  ABSENT,
  type Attrs,
  type Capacity,
  type Dim,
  type Op,
  type Program,
  type Value,
  type ValueKind,
  type ValueType,
} from "./program.ts";

/** A value of the Program that is being recorded. */
export interface Ref extends ValueType {
  /** Id of the value. */
  readonly id: number;
}

/**
 * Records ops over typed values.
 *
 * ```ts
 * import { Recorder } from "./recorder.ts";
 * const g = new Recorder("double");
 * const x = g.input("x", "f32", [4]);
 * g.output("y", g.add(x, x));
 * const program = g.finish();
 * ```
 */
export class Recorder {
  readonly #name: string;
  readonly #capacity: Capacity;
  readonly #values: Value[] = [];
  readonly #ops: Op[] = [];
  readonly #bound = new Map<string, Ref>();

  /** Starts an empty Program; the capacity bounds the step counts. */
  constructor(name: string, capacity: Capacity = { rows: 0, outputs: 0 }) {
    this.#name = name;
    this.#capacity = capacity;
  }

  /** The recorded Program. */
  finish(): Program {
    return { name: this.#name, capacity: this.#capacity, values: [...this.#values], ops: [...this.#ops] };
  }

  /** A read-only weight, bound by name; asking again for a name gives the same value. */
  weight(name: string, dtype: DType, shape: readonly number[]): Ref {
    if (!WEIGHT_DTYPES.includes(dtype)) {
      throw new DTypeError(`weight ${name}: ${dtype} is for KV caches only; choose another dtype`);
    }
    return this.#declare("weight", name, dtype, shape);
  }
  /** A buffer that is kept from step to step, bound by name. */
  state(name: string, dtype: DType, shape: readonly number[]): Ref {
    return this.#declare("state", name, dtype, shape);
  }
  /** A buffer that the caller fills, bound by name. */
  input(name: string, dtype: DType, shape: readonly Dim[]): Ref {
    return this.#declare("input", name, dtype, shape);
  }
  /** A field of the step record: I32 or F32. */
  step(name: string, dtype: "i32" | "f32", shape: readonly Dim[]): Ref {
    return this.#declare("step", name, dtype, shape);
  }
  /** A value whose elements travel inside the Program. */
  constant(name: string, data: Float32Array | Int32Array, shape: readonly number[]): Ref {
    if (data.length !== shape.reduce((n, dim) => n * dim, 1)) {
      throw new ShapeError(`constant ${name}: ${data.length} elements do not fill [${shape}]`);
    }
    return this.#add("constant", name, { dtype: data instanceof Int32Array ? "i32" : "f32", shape }, {
      data,
    });
  }

  /** Makes the result of an op an output under this name. */
  output(name: string, ref: Ref): Ref {
    const value = this.#values[ref.id];
    if (value.kind !== "temp") {
      throw new InvalidArgumentError(`output ${name} must be the result of an op, not a ${value.kind}`);
    }
    this.#claimName(name);
    this.#values[ref.id] = { ...value, kind: "output", name };
    this.#bound.set(name, ref);
    return ref;
  }

  /** The same elements under another shape. One dimension may be -1; a leading step count must stay. */
  reshape(x: Ref, shape: readonly Dim[]): Ref {
    const lead = typeof x.shape[0] === "string" ? x.shape[0] : undefined;
    if (shape[0] !== lead && (lead !== undefined || typeof shape[0] === "string")) {
      throw new ShapeError(`reshape from [${x.shape}] to [${shape}]: the step count must stay outermost`);
    }
    const skip = lead === undefined ? 0 : 1;
    const rest = resolveReshape(x.shape.slice(skip) as number[], shape.slice(skip) as number[]);
    const type = { dtype: x.dtype, shape: lead === undefined ? rest : [lead, ...rest] };
    return this.#add("alias", `${this.#values[x.id].name}.reshape`, type, { aliasOf: x.id });
  }

  /** Records any op by name; the typed methods below are the readable way. */
  record(name: OpName, inputs: readonly (Ref | undefined)[], attrs: Attrs = {}): Ref[] {
    const row = OPS[name];
    const padded = row.inputs.map((_, i) => inputs[i]);
    row.inputs.forEach((input, i) => {
      if (padded[i] === undefined && !input.endsWith("?")) {
        throw new ShapeError(`${name}: the input ${input} is absent`);
      }
    });
    if (inputs.length > row.inputs.length) {
      throw new ShapeError(`${name} takes at most ${row.inputs.length} inputs`);
    }
    const complete = completeAttrs(name, attrs);
    const types = row.infer(padded, complete);
    const outputs = types.map((type) => this.#add("temp", name, type));
    this.#ops.push({
      name,
      inputs: padded.map((ref) => ref?.id ?? ABSENT),
      outputs: outputs.map((ref) => ref.id),
      attrs: complete,
    });
    return outputs;
  }

  /** a + b, broadcasting. */
  add(a: Ref, b: Ref): Ref {
    return this.record("add", [a, b])[0];
  }
  /** a - b, broadcasting. */
  sub(a: Ref, b: Ref): Ref {
    return this.record("sub", [a, b])[0];
  }
  /** a * b, broadcasting. */
  mul(a: Ref, b: Ref): Ref {
    return this.record("mul", [a, b])[0];
  }
  /** a / b, broadcasting. */
  div(a: Ref, b: Ref): Ref {
    return this.record("div", [a, b])[0];
  }
  /** kind(x), elementwise. */
  activation(x: Ref, kind: Activation): Ref {
    return this.record("activation", [x], { kind })[0];
  }
  /** Sum, mean or maximum over one axis. */
  reduce(x: Ref, kind: Reduction, axis = -1, keepDim = false): Ref {
    return this.record("reduce", [x], { kind, axis, keepDim })[0];
  }
  /** Position of the first maximum along the last axis, as I32. */
  argmax(x: Ref): Ref {
    return this.record("argmax", [x])[0];
  }
  /** Softmax over one axis. */
  softmax(x: Ref, axis = -1): Ref {
    return this.record("softmax", [x], { axis })[0];
  }
  /** Logarithm of the softmax over one axis. */
  logSoftmax(x: Ref, axis = -1): Ref {
    return this.record("softmax", [x], { axis, log: true })[0];
  }
  /** The k highest elements along the last axis, and their positions. */
  topK(x: Ref, k: number): { values: Ref; positions: Ref } {
    const [values, positions] = this.record("topK", [x], { k });
    return { values, positions };
  }
  /** Layer norm over the last axis. */
  layerNorm(x: Ref, weight: Ref | undefined, bias: Ref | undefined, eps: number): Ref {
    return this.record("layerNorm", [x, weight, bias], { eps })[0];
  }
  /** RMS norm over the last axis. */
  rmsNorm(x: Ref, weight: Ref | undefined, eps: number, weightOffset = 0): Ref {
    return this.record("rmsNorm", [x, weight], { eps, weightOffset })[0];
  }
  /** Matrix product with broadcast batches. */
  matmul(a: Ref, b: Ref): Ref {
    return this.record("matmul", [a, b])[0];
  }
  /** x · weightᵀ + bias. */
  linear(x: Ref, weight: Ref, bias?: Ref): Ref {
    return this.record("linear", [x, weight, bias])[0];
  }
  /** Rows times the experts that they chose. */
  matmulExperts(x: Ref, weight: Ref, ids: Ref, experts: number): Ref {
    return this.record("matmulExperts", [x, weight, ids], { experts })[0];
  }
  /** Rows of a weight by token id. */
  embed(ids: Ref, weight: Ref, scale = 1): Ref {
    return this.record("embed", [ids, weight], { scale })[0];
  }
  /** Rows of x by index. */
  gatherRows(x: Ref, indexes: Ref): Ref {
    return this.record("gatherRows", [x, indexes])[0];
  }
  /** Joins two tensors along an axis. */
  concat(a: Ref, b: Ref, axis: number): Ref {
    return this.record("concat", [a, b], { axis })[0];
  }

  #declare(kind: ValueKind, name: string, dtype: DType, shape: readonly Dim[]): Ref {
    const known = this.#bound.get(name);
    if (known && this.#values[known.id].kind === kind) {
      if (known.dtype === dtype && known.shape.join() === shape.join()) return known;
      throw new ShapeError(
        `${name} was declared as ${known.dtype}[${known.shape}], now as ${dtype}[${shape}]`,
      );
    }
    this.#claimName(name);
    shape.forEach((dim, i) => {
      if (typeof dim === "string" ? i > 0 : !Number.isInteger(dim) || dim < 0) {
        throw new OutOfBoundsError(`${name}: dimension ${i} cannot be ${dim}`);
      }
    });
    const ref = this.#add(kind, name, { dtype, shape });
    this.#bound.set(name, ref);
    return ref;
  }

  #claimName(name: string): void {
    if (this.#bound.has(name)) throw new InvalidArgumentError(`the name ${name} is taken`);
  }

  #add(kind: ValueKind, name: string, type: ValueType, extra: Partial<Value> = {}): Ref {
    const id = this.#values.length;
    this.#values.push({ id, kind, name, dtype: type.dtype, shape: type.shape, ...extra });
    return { id, dtype: type.dtype, shape: type.shape };
  }
}
