import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { randomPrograms } from "../../tests/support/random_program.ts";
import { InvalidProgramError } from "../errors.ts";
import { DTYPE_NAMES } from "../tensor/dtype.ts";
import { encode, PROGRAM_MAGIC, PROGRAM_VERSION } from "./encode.ts";
import { type AttrKind, OP_NAMES, OPS } from "./ops.ts";
import { plan } from "./plan.ts";
import { type AttrValue, type Dim, type Op, VALUE_KINDS } from "./program.ts";
import { Recorder } from "./recorder.ts";

const claimsAll = { name: "all", supports: () => true };

/** Reads a blob as the format's description says. */
class Reader {
  readonly #view: DataView;
  #word = 0;

  constructor(blob: Uint8Array) {
    this.#view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  }
  get offset(): number {
    return this.#word * 4;
  }
  int(): number {
    return this.#view.getInt32(this.#word++ * 4, true);
  }
  ints(): number[] {
    return Array.from({ length: this.int() }, () => this.int());
  }
  attr(kind: AttrKind): AttrValue {
    if (kind === "i32") return this.int();
    if (kind === "bool") return this.int() === 1;
    if (kind === "i32s") return this.ints();
    if (kind === "f32") return this.#view.getFloat32(this.#word++ * 4, true);
    if (kind === "f64s") {
      return Array.from({ length: this.int() }, () => {
        this.#word += 2;
        return this.#view.getFloat64((this.#word - 2) * 4, true);
      });
    }
    return kind[this.int()];
  }
  op(): Op {
    const code = this.int();
    const name = OP_NAMES.find((candidate) => OPS[candidate].code === code);
    if (!name) throw new Error(`no op has the code ${code}`);
    const [inputs, outputs] = [this.ints(), this.ints()];
    const end = this.int() + this.#word;
    const attrs = Object.fromEntries(
      Object.entries(OPS[name].attrs).map(([key, kind]) => [key, this.attr(kind)]),
    );
    assertEquals(this.#word, end, `attribute words of ${name}`);
    return { name, inputs, outputs, attrs };
  }
}

const dimOf = (word: number): Dim => (word === -1 ? "rows" : word === -2 ? "outputs" : word);

Deno.test("the header says what follows", () => {
  const g = new Recorder("test", { rows: 8, outputs: 2 });
  const ids = g.step("ids", "i32", ["rows"]);
  const table = g.constant("table", new Float32Array(20), [5, 4]);
  g.output("y", g.add(g.embed(ids, g.weight("w", "q8_0", [9, 32])), g.input("x", "f32", [32])));
  const planned = plan(g.finish(), claimsAll);
  const reader = new Reader(encode(planned));
  const header = Array.from({ length: 9 }, () => reader.int());
  assertEquals(table.id, 1);
  assertEquals(header, [
    PROGRAM_MAGIC,
    PROGRAM_VERSION,
    8,
    2,
    planned.program.values.length,
    planned.program.ops.length,
    planned.arenaBytes,
    planned.stepWords,
    128,
  ]);
});

Deno.test("every value and op can be read back", () => {
  fc.assert(fc.property(randomPrograms, (recorded) => {
    const planned = plan(recorded, claimsAll);
    const { program, offsets } = planned;
    const reader = new Reader(encode(planned));
    for (let i = 0; i < 9; i++) reader.int();
    for (const value of program.values) {
      const [kind, dtype, location] = [VALUE_KINDS[reader.int()], DTYPE_NAMES[reader.int()], reader.int()];
      assertEquals([kind, dtype, reader.ints().map(dimOf)], [value.kind, value.dtype, value.shape]);
      if (kind === "temp" && offsets.has(value.id)) assertEquals(location, offsets.get(value.id));
      if (kind === "alias") assertEquals(location, value.aliasOf);
    }
    for (const op of program.ops) {
      const attrs = Object.entries(op.attrs).map((
        [key, value],
      ) => [key, key === "eps" ? Math.fround(value as number) : value]);
      assertEquals(reader.op(), { ...op, attrs: Object.fromEntries(attrs) });
    }
  }));
});

Deno.test("attributes of every kind survive", () => {
  const g = new Recorder("attrs", { rows: 4, outputs: 0 });
  const positions = g.step("positions", "i32", ["rows"]);
  const inverseFrequencies = [1, 0.1, Math.PI];
  g.record("ropeTable", [positions], { inverseFrequencies, scale: 0.5 });
  const x = g.input("x", "f32", [2, 3]);
  g.record("copy", [x], { offset: 5, shape: [6], strides: [-1] });
  g.record("activation", [x], { kind: "silu" });
  g.record("softmax", [x], { log: true });
  const planned = plan(g.finish(), claimsAll);
  const blob = encode(planned);
  const reader = new Reader(blob);
  for (let i = 0; i < 9; i++) reader.int();
  for (let i = 0; i < planned.program.values.length; i++) {
    for (let k = 0; k < 3; k++) reader.int();
    reader.ints();
  }
  assertEquals(planned.program.ops.map(() => reader.op()), [...planned.program.ops]);
  assertEquals(reader.offset, blob.length);
});

Deno.test("constants stand at multiples of 64 after the ops", () => {
  const g = new Recorder("constants");
  const [a, b] = [
    g.constant("a", Float32Array.of(1, 2, 3), [3]),
    g.constant("b", Float32Array.of(4, 5, 6), [3]),
  ];
  g.output("y", g.add(a, b));
  const blob = encode(plan(g.finish(), claimsAll));
  const constants = blob.slice(blob.length - 128);
  assertEquals([...new Float32Array(constants.buffer, 0, 3)], [1, 2, 3]);
  assertEquals([...new Float32Array(constants.buffer, 64, 3)], [4, 5, 6]);
});

Deno.test("a constant without data is refused", () => {
  const program = {
    name: "broken",
    capacity: { rows: 0, outputs: 0 },
    values: [{ id: 0, kind: "constant" as const, name: "c", dtype: "f32" as const, shape: [1] }],
    ops: [],
  };
  assertThrows(() => encode(plan(program, claimsAll)), InvalidProgramError);
});
