/**
 * The binary form in which `core/` receives a planned Program: 32-bit little-endian words, versioned.
 *
 *     header     magic, version, capacity rows, capacity outputs, value count, op count, arena bytes, step words,
 *                constant bytes
 *     value      kind, dtype, location, rank, dims…       (-1: rows, -2: outputs)
 *     op         code, input count, ids… (-1: absent), output count, ids…, attribute words, attributes…
 *     constants  their bytes, each at a multiple of 64 from the start of this part
 *
 * The location of a temp is its arena offset in bytes, of a step value its offset in words of the step record, of an
 * alias the id of its base, of a constant its offset in the last part; for all others it is 0.
 * Attributes stand in table order: i32, f32, bool and enum take a word; lists a count and their elements.
 *
 * @module
 */
import { InvalidProgramError } from "../errors.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { type AttrKind, OPS } from "./ops.ts";
import type { Plan } from "./plan.ts";
import { type AttrValue, type Dim, type Program, type Value, VALUE_KINDS } from "./program.ts";
import { stepLayout } from "./step.ts";

/** "LFPG" as a little-endian word. */
export const PROGRAM_MAGIC = 0x4750464c;
/** Version of the encoding. */
export const PROGRAM_VERSION = 1;
/** Alignment of a constant. */
const CONSTANT_ALIGN = 64;

class Words {
  #bytes = new DataView(new ArrayBuffer(4096));
  #count = 0;

  get count(): number {
    return this.#count;
  }
  int(value: number): void {
    this.#room().setInt32(this.#count++ * 4, value, true);
  }
  float(value: number): void {
    this.#room().setFloat32(this.#count++ * 4, value, true);
  }
  double(value: number): void {
    const pair = new DataView(new ArrayBuffer(8));
    pair.setFloat64(0, value, true);
    this.int(pair.getInt32(0, true));
    this.int(pair.getInt32(4, true));
  }
  patch(position: number, value: number): void {
    this.#bytes.setInt32(position * 4, value, true);
  }
  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, 0, this.#count * 4);
  }
  #room(): DataView {
    if ((this.#count + 1) * 4 > this.#bytes.byteLength) {
      const larger = new Uint8Array(this.#bytes.byteLength * 2);
      larger.set(new Uint8Array(this.#bytes.buffer));
      this.#bytes = new DataView(larger.buffer);
    }
    return this.#bytes;
  }
}

/** Encodes a planned Program. */
export function encode(plan: Plan): Uint8Array {
  const { program } = plan;
  const layout = stepLayout(program);
  const { offsets: constants, bytes: constantBytes } = placeConstants(program);
  const words = new Words();
  for (
    const word of [
      PROGRAM_MAGIC,
      PROGRAM_VERSION,
      program.capacity.rows,
      program.capacity.outputs,
      program.values.length,
      program.ops.length,
      plan.arenaBytes,
      plan.stepWords,
      constantBytes,
    ]
  ) words.int(word);
  const location = (value: Value): number => {
    if (value.kind === "temp") return plan.offsets.get(value.id) ?? 0;
    if (value.kind === "step") return layout.offsets.get(value.id) ?? 0;
    if (value.kind === "alias") return value.aliasOf ?? 0;
    return constants.get(value.id) ?? 0;
  };
  for (const value of program.values) {
    const dims = value.shape.map(encodeDim);
    for (
      const word of [VALUE_KINDS.indexOf(value.kind), DTYPES[value.dtype].code, location(value), dims.length]
    ) {
      words.int(word);
    }
    dims.forEach((dim) => words.int(dim));
  }
  for (const op of program.ops) {
    words.int(OPS[op.name].code);
    for (const ids of [op.inputs, op.outputs]) {
      words.int(ids.length);
      ids.forEach((id) => words.int(id));
    }
    const start = words.count;
    words.int(0);
    for (const [key, kind] of Object.entries(OPS[op.name].attrs)) encodeAttr(words, kind, op.attrs[key]);
    words.patch(start, words.count - start - 1);
  }
  const head = words.bytes();
  const blob = new Uint8Array(head.length + constantBytes);
  blob.set(head);
  for (const value of program.values) {
    const offset = constants.get(value.id);
    if (offset === undefined || !value.data) continue;
    blob.set(
      new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength),
      head.length + offset,
    );
  }
  return blob;
}

function encodeDim(dim: Dim): number {
  return dim === "rows" ? -1 : dim === "outputs" ? -2 : dim;
}

function placeConstants(program: Program): { offsets: Map<number, number>; bytes: number } {
  const offsets = new Map<number, number>();
  let bytes = 0;
  for (const value of program.values) {
    if (value.kind !== "constant") continue;
    if (!value.data) throw new InvalidProgramError(`the constant ${value.name} has no data`);
    offsets.set(value.id, bytes);
    bytes += Math.ceil(value.data.byteLength / CONSTANT_ALIGN) * CONSTANT_ALIGN;
  }
  return { offsets, bytes };
}

function encodeAttr(words: Words, kind: AttrKind, value: AttrValue): void {
  if (kind === "i32") words.int(value as number);
  else if (kind === "f32") words.float(value as number);
  else if (kind === "bool") words.int(value ? 1 : 0);
  else if (kind === "i32s" || kind === "f64s") {
    const list = value as readonly number[];
    words.int(list.length);
    list.forEach((x) => (kind === "i32s" ? words.int(x) : words.double(x)));
  } else words.int(kind.indexOf(value as string));
}
