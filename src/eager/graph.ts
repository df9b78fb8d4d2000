/**
 * The graph behind tensors: nodes that stand for what is still to be computed, and their evaluation as one Program.
 *
 * @module
 */
import type { Backend, Buffer, WeightHandle, WeightSource } from "../backends/backend.ts";
import { completeAttrs, type OpName, OPS } from "../program/ops.ts";
import type { Attrs, ValueType } from "../program/program.ts";
import { Recorder, type Ref } from "../program/recorder.ts";
import { StepRecord } from "../program/step.ts";
import { byteLength, type DType } from "../tensor/dtype.ts";
import { elementCount } from "../tensor/shape.ts";

/** A recorded call of an op, shared by the nodes of its results. */
interface OpCall {
  readonly name: OpName;
  readonly inputs: readonly (TensorNode | undefined)[];
  readonly attrs: Attrs;
}

/** Where the elements of a node come from. */
type Source =
  | { readonly kind: "op"; readonly call: OpCall; readonly output: number }
  | { readonly kind: "reshape"; readonly base: TensorNode }
  | { readonly kind: "host"; readonly base: TensorNode; convert(bytes: Uint8Array): Uint8Array };

/** Elements that are known, or a recipe for them. */
export class TensorNode {
  /** Element type. */
  readonly dtype: DType;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Once known, the elements; the recipe is then dropped, so that its inputs can be collected. */
  #bytes?: Uint8Array;
  #source?: Source;

  private constructor(type: { dtype: DType; shape: readonly number[] }, from: Source | Uint8Array) {
    this.dtype = type.dtype;
    this.shape = type.shape;
    if (from instanceof Uint8Array) this.#bytes = from;
    else this.#source = from;
  }

  /** A node of known elements. */
  static ofBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): TensorNode {
    return new TensorNode({ dtype, shape }, bytes);
  }

  /** Records an op; shapes and dtypes are checked at once. */
  static ofOp(name: OpName, inputs: readonly (TensorNode | undefined)[], attrs: Attrs): TensorNode[] {
    const complete = completeAttrs(name, attrs);
    const call: OpCall = { name, inputs, attrs: complete };
    return OPS[name].infer(inputs, complete).map((type: ValueType, output) =>
      new TensorNode({ dtype: type.dtype, shape: type.shape as number[] }, { kind: "op", call, output })
    );
  }

  /** The same elements under another shape. */
  reshape(shape: readonly number[]): TensorNode {
    return new TensorNode({ dtype: this.dtype, shape }, { kind: "reshape", base: this });
  }

  /** What a function on the host makes of the elements. */
  onHost(
    dtype: DType,
    shape: readonly number[],
    convert: (bytes: Uint8Array) => Uint8Array,
  ): TensorNode {
    return new TensorNode({ dtype, shape }, { kind: "host", base: this, convert });
  }

  /** The elements, where they are known. */
  get bytes(): Uint8Array | undefined {
    return this.#bytes;
  }
  /** How they are computed, where they are not. */
  get source(): Source | undefined {
    return this.#source;
  }
  /** Keeps the elements and drops the recipe. */
  settle(bytes: Uint8Array): Uint8Array {
    this.#bytes = bytes;
    this.#source = undefined;
    return bytes;
  }
}

/** Gives the backend when it is needed: conversions of known elements need none. */
export type PickBackend = () => Backend | Promise<Backend>;

/** Computes the elements of a node: all ops up to it become one Program, which runs once. */
export async function evaluate(node: TensorNode, backend: PickBackend): Promise<Uint8Array> {
  const { bytes, source } = node;
  if (bytes) return bytes;
  if (source?.kind === "reshape") return node.settle(await evaluate(source.base, backend));
  if (source?.kind === "host") return node.settle(source.convert(await evaluate(source.base, backend)));
  const order = dependencies(node);
  for (const step of order) await settleHostParts(step, backend);
  const run = new TensorRun();
  // What became known just now cuts off its own inputs.
  for (const step of dependencies(node)) run.record(step);
  return node.settle(await run.compute(node, await backend()));
}

/** The nodes that a node needs and that are not known yet, inputs first. No recursion: chains may be long. */
function dependencies(root: TensorNode): TensorNode[] {
  const done = new Set<TensorNode>();
  const stack = [root];
  while (stack.length > 0) {
    const node = stack[stack.length - 1];
    const waiting = inputsOf(node).filter((input) => !done.has(input));
    if (waiting.length > 0 && !done.has(node)) stack.push(...waiting);
    else {
      done.add(node);
      stack.pop();
    }
  }
  return [...done];
}

function inputsOf({ source }: TensorNode): TensorNode[] {
  if (!source) return [];
  if (source.kind !== "op") return [source.base];
  return source.call.inputs.filter((input) => input !== undefined);
}

/** Computes what must be bytes before a Program can be recorded: host conversions, and the weights of linears. */
async function settleHostParts(node: TensorNode, backend: PickBackend): Promise<void> {
  const { source } = node;
  if (source?.kind === "host") await evaluate(node, backend);
  if (source?.kind !== "op") return;
  for (const position of OPS[source.call.name].packed ?? []) {
    const weight = source.call.inputs[position];
    if (weight) await evaluate(weight, backend);
  }
}

/** One Program over tensor nodes, from recording to the result. */
class TensorRun {
  readonly #g = new Recorder("tensor");
  readonly #refs = new Map<TensorNode, Ref>();
  readonly #calls = new Map<OpCall, Ref[]>();
  readonly #inputs = new Map<string, TensorNode>();
  readonly #weights = new Map<string, TensorNode>();
  readonly #weightNames = new Map<TensorNode, string>();

  /** Records a node whose inputs are recorded. */
  record(node: TensorNode): void {
    const { source } = node;
    if (source?.kind === "reshape") {
      this.#refs.set(node, this.#g.reshape(this.#ref(source.base), node.shape));
    } else if (source?.kind === "op") {
      const results = this.#calls.get(source.call) ?? this.#recordCall(source.call);
      this.#refs.set(node, results[source.output]);
    }
  }

  /** Runs what is recorded and reads one node. */
  async compute(node: TensorNode, backend: Backend): Promise<Uint8Array> {
    this.#g.output("result", this.#ref(node));
    const program = this.#g.finish();
    const buffers = new Map<string, Buffer>();
    const weights = new Map<string, WeightHandle>();
    try {
      for (const [name, { dtype, shape, bytes = new Uint8Array() }] of this.#weights) {
        const spec = { name, dtype, shape, layout: "packed" as const };
        weights.set(name, await backend.upload(spec, sourceOf(dtype, bytes)));
      }
      for (const [name, { bytes = new Uint8Array() }] of this.#inputs) {
        const buffer = backend.alloc(bytes.length);
        buffers.set(name, buffer);
        backend.write(buffer, 0, bytes);
      }
      const into = new Uint8Array(byteLength(node.dtype, elementCount(node.shape)));
      const result = backend.alloc(into.length);
      buffers.set("result", result);
      using executable = await backend.compile(program, new Map([...buffers, ...weights]));
      executable.run(new StepRecord(program));
      await backend.read(result, 0, into);
      return into;
    } finally {
      for (const buffer of buffers.values()) backend.free(buffer);
      for (const weight of weights.values()) backend.freeWeight(weight);
    }
  }

  #recordCall(call: OpCall): Ref[] {
    const packed = OPS[call.name].packed ?? [];
    const inputs = call.inputs.map((input, position) =>
      input && (packed.includes(position) ? this.#weight(input) : this.#ref(input))
    );
    const results = this.#g.record(call.name, inputs, call.attrs);
    this.#calls.set(call, results);
    return results;
  }

  #ref(node: TensorNode): Ref {
    let ref = this.#refs.get(node);
    if (!ref) {
      const name = `input${this.#inputs.size}`;
      this.#inputs.set(name, node);
      this.#refs.set(node, ref = this.#g.input(name, node.dtype, node.shape));
    }
    return ref;
  }

  #weight(node: TensorNode): Ref {
    const name = this.#weightNames.get(node) ?? `weight${this.#weights.size}`;
    this.#weightNames.set(node, name);
    this.#weights.set(name, node);
    return this.#g.weight(name, node.dtype, node.shape);
  }
}

function sourceOf(dtype: DType, bytes: Uint8Array): WeightSource {
  return {
    dtype,
    byteLength: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
    readSync: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
  };
}
