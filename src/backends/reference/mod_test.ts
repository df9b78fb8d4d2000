import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InvalidArgumentError, OutOfBoundsError, OutOfMemoryError, ShapeError } from "../../errors.ts";
import { Recorder } from "../../program/recorder.ts";
import { memorySource, Rig } from "../../../tests/support/rig.ts";
import { erfc } from "./erf.ts";
import { createReferenceBackend } from "./mod.ts";

const F32 = new Float32Array(64);

Deno.test("memory is counted, and what is above the limit is refused", async () => {
  using backend = createReferenceBackend({ memoryLimit: 1000 });
  const buffer = backend.alloc(600);
  const spec = { name: "w", dtype: "q8_0" as const, shape: [8, 32], layout: "packed" as const };
  assertEquals(backend.weightBytes(spec), 272);
  const weight = await backend.upload(spec, memorySource("q8_0", new Uint8Array(272)));
  assertEquals(backend.memory, { limit: 1000, used: 872 });
  const error = assertThrows(() => backend.alloc(129), OutOfMemoryError);
  assertEquals([error.required, error.available], [129, 128]);
  backend.free(buffer);
  backend.freeWeight(weight);
  assertEquals(backend.memory.used, 0);
});

Deno.test("an upload checks its source, and stops when it is told to", async () => {
  using backend = createReferenceBackend();
  const spec = { name: "w", dtype: "f32" as const, shape: [4, 8], layout: "packed" as const };
  await assertRejects(() => backend.upload(spec, memorySource("f32", new Uint8Array(100))), ShapeError);
  const aborted = AbortSignal.abort(new Error("stop"));
  await assertRejects(
    () => backend.upload(spec, memorySource("f32", new Uint8Array(128)), aborted),
    Error,
    "stop",
  );
});

Deno.test("a plain weight is widened to F32 whatever it was", () => {
  using backend = createReferenceBackend();
  const spec = { name: "norm", dtype: "bf16" as const, shape: [10], layout: "plain" as const };
  assertEquals(backend.weightBytes(spec), 40);
});

Deno.test("buffers are written, copied and read within their bounds", async () => {
  using backend = createReferenceBackend();
  const [a, b] = [backend.alloc(8), backend.alloc(8)];
  backend.write(a, 2, Uint8Array.of(1, 2, 3));
  backend.copy(a, b, [{ from: 2, to: 5, length: 3 }]);
  const into = new Uint8Array(4);
  await backend.read(b, 4, into);
  assertEquals([...into], [0, 1, 2, 3]);
  assertThrows(() => backend.write(a, 6, Uint8Array.of(1, 2, 3)), OutOfBoundsError);
  assertThrows(() => backend.copy(a, b, [{ from: 0, to: 6, length: 3 }]), OutOfBoundsError);
});

Deno.test("what is not bound, or bound too small, is refused at compile", async () => {
  using backend = createReferenceBackend();
  const g = new Recorder("test", { rows: 4, outputs: 0 });
  g.output("y", g.linear(g.input("x", "f32", ["rows", 8]), g.weight("w", "f32", [2, 8])));
  const program = g.finish();
  await assertRejects(() => backend.compile(program, new Map()), InvalidArgumentError, "x is not bound");
  const small = new Map([["x", backend.alloc(16)]]);
  await assertRejects(() => backend.compile(program, small), InvalidArgumentError, "128 bytes");
  const spec = { name: "w", dtype: "f32" as const, shape: [8, 2], layout: "packed" as const };
  const wrong = await backend.upload(spec, memorySource("f32", new Uint8Array(64)));
  const bindings = new Map([["x", backend.alloc(128)], ["y", backend.alloc(32)], ["w", wrong]] as const);
  await assertRejects(() => backend.compile(program, bindings), InvalidArgumentError, "w [2,8]");
});

Deno.test("ids, rows, slots and pages outside their bounds are typed errors", async () => {
  using backend = createReferenceBackend();
  const fails = async (
    record: (g: Recorder) => void,
    fillings: Record<string, Int32Array | Float32Array>,
  ): Promise<void> => {
    const g = new Recorder("test", { rows: 2, outputs: 2 });
    record(g);
    using rig = await Rig.create(backend, g.finish(), fillings);
    assertThrows(() => rig.run({ rows: 2, outputs: 2 }), OutOfBoundsError);
  };
  for (const id of [-1, 8]) {
    await fails(
      (g) => g.output("y", g.embed(g.step("ids", "i32", ["rows"]), g.weight("w", "f32", [8, 8]))),
      { ids: Int32Array.of(0, id), w: F32 },
    );
  }
  await fails(
    (g) => g.output("y", g.gatherRows(g.input("x", "f32", ["rows", 8]), g.step("at", "i32", ["outputs"]))),
    { at: Int32Array.of(0, 2), x: F32.subarray(0, 16) },
  );
  const cache = (g: Recorder) => g.state("cache", "f32", [2, 1, 4, 8]);
  await fails((g) => {
    const x = g.input("x", "f32", ["rows", 8]);
    g.record("writeKv", [x, x, g.step("slots", "i32", ["rows"]), cache(g), cache(g)]);
  }, { slots: Int32Array.of(0, 8) });
  for (const [table, length] of [[[0, 2], 5], [[0, 1], 9]] as const) {
    await fails((g) => {
      const rows = ["lengths", "sequences"].map((name) => g.step(name, "i32", ["rows"]));
      const inputs = [
        g.input("q", "f32", ["rows", 8]),
        cache(g),
        cache(g),
        ...rows,
        g.step("table", "i32", [1, 2]),
      ];
      g.output("y", g.record("pagedAttention", inputs, { heads: 1, scale: 1 })[0]);
    }, { lengths: Int32Array.of(1, length), table: Int32Array.from(table) });
  }
});

Deno.test("erfc is exact where it is small, and where it is not", () => {
  // Python, math.erfc
  const cases = [
    [0, 1],
    [0.5, 0.4795001221869535],
    [2.4, 0.0006885138966450787],
    [2.5, 0.0004069520174449589],
    [
      5,
      1.5374597944280349e-12,
    ],
    [-1, 1.8427007929497148],
    [Infinity, 0],
    [-Infinity, 2],
  ];
  for (const [x, expected] of cases) {
    const actual = erfc(x);
    assertEquals(Math.abs(actual - expected) <= 1e-13 * Math.abs(expected) + 1e-300, true, `${x}: ${actual}`);
  }
  assertEquals(erfc(NaN), NaN);
});
