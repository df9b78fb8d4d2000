import { assertEquals, assertThrows } from "@std/assert";
import { DTypeError, InvalidArgumentError, OutOfBoundsError, ShapeError } from "../errors.ts";
import { OP_NAMES, OPS } from "./ops.ts";
import type { Dim } from "./program.ts";
import { Recorder, type Ref } from "./recorder.ts";

/** A recorder and F32 inputs of the given shapes. */
function inputs(...shapes: readonly (readonly Dim[])[]): [Recorder, ...Ref[]] {
  const g = new Recorder("test", { rows: 8, outputs: 4 });
  return [g, ...shapes.map((shape, i) => g.input(`x${i}`, "f32", shape))];
}

Deno.test("a Program lists values and ops in recorded order", () => {
  const [g, a, b] = inputs([2, 3], [3]);
  g.output("y", g.softmax(g.add(a, b)));
  const program = g.finish();
  assertEquals(program.ops.map((op) => op.name), ["add", "softmax"]);
  assertEquals(program.values.map((value) => value.kind), ["input", "input", "temp", "output"]);
  assertEquals(program.ops[1].attrs, { axis: -1, log: false });
});

Deno.test("broadcasting follows the usual rules, step counts included", () => {
  const cases: readonly (readonly [a: readonly Dim[], b: readonly Dim[], out: readonly Dim[]])[] = [
    [[2, 3], [], [2, 3]],
    [[2, 1, 4], [3, 1], [2, 3, 4]],
    [["rows", 4], [4], ["rows", 4]],
    [[4], ["rows", 4], ["rows", 4]],
    [["rows", 4], ["rows", 1], ["rows", 4]],
    [[1, 4], ["rows", 4], ["rows", 4]],
    [["rows", 2, 4], [2, 1], ["rows", 2, 4]],
  ];
  for (const [a, b, out] of cases) {
    const [g, x, y] = inputs(a, b);
    assertEquals(g.add(x, y).shape, out, `[${a}] + [${b}]`);
  }
});

Deno.test("shapes that do not broadcast are refused", () => {
  const cases: readonly (readonly [a: readonly Dim[], b: readonly Dim[]])[] = [
    [[10, 5], [2]],
    [[0, 3], [2, 3]],
    [["rows", 4], ["outputs", 4]],
    [["rows", 4], [8, 4]],
    [["rows", 4], [2, 3, 4]],
    [["rows", 1, 4], ["rows", 4]],
  ];
  for (const [a, b] of cases) {
    const [g, x, y] = inputs(a, b);
    assertThrows(() => g.add(x, y), ShapeError);
    assertThrows(() => g.mul(y, x), ShapeError);
  }
});

Deno.test("matrix products check their inner dimension, and take no step counts", () => {
  const [g, a, b, rows] = inputs([3, 4], [5, 4], ["rows", 4]);
  assertThrows(() => g.matmul(a, b), ShapeError, "inner dimensions");
  assertThrows(() => g.matmul(rows, a), ShapeError, "must not depend on the step");
  const weight = g.weight("w", "q4_0", [6, 4]);
  assertEquals(g.linear(rows, weight).shape, ["rows", 6]);
  assertThrows(() => g.linear(a, g.weight("v", "f32", [6, 5])), ShapeError, "input features");
  assertThrows(() => g.linear(a, weight, g.input("bias", "f32", [5])), ShapeError, "bias");
});

Deno.test("dtypes are checked", () => {
  const g = new Recorder("test");
  const [ids, x] = [g.input("ids", "i32", [3]), g.input("x", "f32", [3])];
  assertThrows(() => g.add(ids, x), DTypeError);
  assertThrows(() => g.embed(x, g.weight("w", "f32", [5, 4])), DTypeError);
  assertThrows(() => g.weight("v", "q16", [5, 64]), DTypeError, "KV caches only");
});

Deno.test("attributes are checked", () => {
  const [g, x] = inputs([2, 3]);
  assertThrows(() => g.record("layerNorm", [x]), ShapeError, "eps is missing");
  assertThrows(() => g.record("softmax", [x], { axis: 0.5 }), ShapeError, "cannot be 0.5");
  assertThrows(() => g.record("activation", [x], { kind: "swish" }), ShapeError, "swish");
  assertThrows(() => g.record("add", [x, x], { axis: 1 }), ShapeError, "no attribute axis");
  assertThrows(() => g.softmax(x, 2), OutOfBoundsError);
  assertThrows(() => g.record("add", [x]), ShapeError, "the input b is absent");
  assertThrows(() => g.record("argmax", [x, x]), ShapeError, "at most 1");
});

Deno.test("a strided copy may not leave its elements", () => {
  const [g, x] = inputs([2, 3]);
  const copy = (offset: number, shape: number[], strides: number[]) =>
    g.record("copy", [x], { offset, shape, strides })[0];
  assertEquals(copy(0, [3, 2], [1, 3]).shape, [3, 2]);
  assertEquals(copy(5, [6], [-1]).shape, [6]);
  assertEquals(copy(0, [0, 9], [9, 1]).shape, [0, 9]);
  assertThrows(() => copy(1, [3, 2], [1, 3]), ShapeError, "leaves");
  assertThrows(() => copy(4, [6], [-1]), ShapeError, "leaves");
  assertThrows(() => copy(0, [2], [1, 1]), ShapeError, "rank");
});

Deno.test("attention checks heads, rows, caches and slopes", () => {
  const g = new Recorder("test", { rows: 8, outputs: 0 });
  const q = g.input("q", "f32", ["rows", 24]);
  const cache = g.state("k", "f16", [4, 2, 16, 4]);
  const rows = g.step("lengths", "i32", ["rows"]);
  const table = g.step("table", "i32", [1, 4]);
  const record = (heads: number, slopes?: Ref) =>
    g.record("pagedAttention", [q, cache, cache, rows, rows, table, slopes], { heads, scale: 1 })[0];
  assertEquals(record(6).shape, ["rows", 24]);
  assertThrows(() => record(4), ShapeError, "widths");
  assertThrows(() => record(6, g.input("slopes", "f32", [5])), ShapeError, "slopes");
  assertThrows(() => g.record("writeKv", [q, q, rows, cache, cache]), ShapeError, "widths");
});

Deno.test("keys that are turned hold the pairs of the table, which has a row for each page", () => {
  const g = new Recorder("test", { rows: 8, outputs: 4 });
  const record = (width: number, headDim: number, rows: "rows" | "outputs" = "rows") => {
    const table = g.input(`table.${width}.${headDim}.${rows}`, "f32", ["rows", width]);
    const cache = g.state(`keys.${headDim}`, "f16", [4, 2, 16, headDim]);
    return g.record("ropeShift", [table, g.step(`pages.${rows}`, "i32", [rows]), cache]);
  };
  assertEquals(record(8, 8), []);
  assertEquals(record(6, 8), []);
  assertThrows(() => record(10, 8), ShapeError, "do not hold the pairs");
  assertThrows(() => record(3, 8), ShapeError, "do not hold the pairs");
  assertThrows(() => record(4, 8, "outputs"), ShapeError, "rows of pages and table");
});

Deno.test("a reshape keeps the step count outermost", () => {
  const [g, x, fixed] = inputs(["rows", 12], [2, 6]);
  assertEquals(g.reshape(x, ["rows", 3, -1]).shape, ["rows", 3, 4]);
  assertEquals(g.reshape(fixed, [-1]).shape, [12]);
  assertThrows(() => g.reshape(x, [3, 4]), ShapeError, "outermost");
  assertThrows(() => g.reshape(fixed, ["rows", 12]), ShapeError, "outermost");
  assertThrows(() => g.reshape(fixed, [5, 5]), ShapeError, "element counts");
  assertThrows(() => g.reshape(fixed, [-1, -1]), ShapeError, "at most one");
});

Deno.test("a bound name means one thing", () => {
  const g = new Recorder("test", { rows: 8, outputs: 4 });
  const w = g.weight("w", "f32", [2, 3]);
  assertEquals(g.weight("w", "f32", [2, 3]), w);
  assertThrows(() => g.weight("w", "f32", [3, 2]), ShapeError, "was declared as");
  assertThrows(() => g.input("w", "f32", [2, 3]), InvalidArgumentError, "taken");
  assertThrows(() => g.output("w", g.add(w, w)), InvalidArgumentError, "taken");
  assertThrows(() => g.output("y", w), InvalidArgumentError, "result of an op");
  assertThrows(() => g.input("x", "f32", [3, "rows"]), OutOfBoundsError);
  assertThrows(() => g.input("z", "f32", [-1]), OutOfBoundsError);
  assertThrows(() => g.constant("c", Float32Array.of(1, 2), [3]), ShapeError, "do not fill");
});

Deno.test("op codes are unique, and enum attributes and defaults fit their kinds", () => {
  const codes = OP_NAMES.map((name) => OPS[name].code);
  assertEquals(new Set(codes).size, codes.length);
  for (const name of OP_NAMES) {
    for (const key of Object.keys(OPS[name].defaults ?? {})) assertEquals(key in OPS[name].attrs, true, name);
  }
});
