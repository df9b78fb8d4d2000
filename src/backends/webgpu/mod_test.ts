import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { testOnBackends } from "../../../tests/support/backends.ts";
import { decode } from "../../../tests/conformance/case.ts";
import { memorySource, Rig } from "../../../tests/support/rig.ts";
import {
  BackendError,
  InvalidArgumentError,
  OutOfBoundsError,
  OutOfMemoryError,
  UnsupportedOpError,
} from "../../errors.ts";
import { Recorder } from "../../program/recorder.ts";
import { StepRecord } from "../../program/step.ts";
import { quantize } from "../../tensor/quantize.ts";
import type { Backend, Buffer } from "../backend.ts";
import { createWebGpuBackend } from "./mod.ts";

const test = (name: string, run: (backend: Backend) => Promise<void>): Promise<void> =>
  testOnBackends(name, run, (backend) => backend === "webgpu");

const bytesOf = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);

async function floats(backend: Backend, buffer: Buffer, count: number): Promise<number[]> {
  const values = new Float32Array(count);
  await backend.read(buffer, 0, new Uint8Array(values.buffer));
  return [...values];
}

/** y = x + x over so many elements. */
function doubling(elements: number): ReturnType<Recorder["finish"]> {
  const g = new Recorder("double");
  const x = g.input("x", "f32", [elements]);
  g.output("y", g.add(x, x));
  return g.finish();
}

await test("a weight is uploaded, multiplied, added to and read", async (backend) => {
  const g = new Recorder("thin", { rows: 4, outputs: 0 });
  const x = g.input("x", "f32", ["rows", 3]);
  const product = g.linear(x, g.weight("w", "f32", [2, 3]), g.weight("b", "f32", [2]));
  g.output("y", g.add(product, g.constant("c", Float32Array.of(100, 200), [2])));
  using rig = await Rig.create(backend, g.finish(), {
    w: Float32Array.of(1, 2, 3, 4, 5, 6),
    b: Float32Array.of(10, 20),
    x: Float32Array.of(1, 0, 0, 0, 1, 1),
  });
  rig.run({ rows: 2, outputs: 0 });
  const y = (await rig.read()).get("y");
  assertEquals(y && [...decode(y)], [111, 224, 115, 231]);
});

await test("more than 65,535 workgroups are split over y", async (backend) => {
  const elements = 64 * 65_536 + 5;
  using rig = await Rig.create(backend, doubling(elements), {
    x: Float32Array.from({ length: elements }, (_, i) => i % 1000),
  });
  rig.run({ rows: 0, outputs: 0 });
  const y = decode((await rig.read()).get("y")!);
  assertEquals(y.findIndex((value, i) => value !== 2 * (i % 1000)), -1);
});

await test("a quantized weight of several pieces keeps its rows", async (backend) => {
  const [rows, width] = [2 ** 12 + 3, 2 ** 9];
  const values = Float32Array.from({ length: rows * width }, (_, i) => (i * 7919) % 1013 / 1013);
  const g = new Recorder("embed");
  const weight = g.weight("w", "q4_1", [rows, width]);
  g.output("y", g.embed(g.constant("ids", Int32Array.of(0, 2048, rows - 1), [3]), weight));
  using rig = await Rig.create(backend, g.finish(), { w: { dtype: "f32", bytes: bytesOf(values) } });
  rig.run({ rows: 0, outputs: 0 });
  const y = decode((await rig.read()).get("y")!);
  const wanted = decode({ dtype: "q4_1", bytes: quantize("q4_1", values) });
  [0, 2048, rows - 1].forEach((row, i) =>
    assertEquals(
      y.subarray(i * width, (i + 1) * width),
      wanted.subarray(row * width, (row + 1) * width),
    )
  );
});

await test("rotary tables are right to 1e-6 far out", async (backend) => {
  const inverseFrequencies = Array.from({ length: 32 }, (_, i) => 10_000 ** (-i / 32));
  const positions = Int32Array.from([0, 1, 2, 1000, 4095, 65_537, 131_071, 131_072, -3]);
  const g = new Recorder("table");
  const table = g.record("ropeTable", [g.constant("p", positions, [positions.length])], {
    inverseFrequencies,
  });
  g.output("y", table[0]);
  using rig = await Rig.create(backend, g.finish(), {});
  rig.run({ rows: 0, outputs: 0 });
  const y = decode((await rig.read()).get("y")!);
  let worst = 0;
  positions.forEach((position, row) =>
    inverseFrequencies.forEach((frequency, i) => {
      const angle = position * frequency;
      worst = Math.max(worst, Math.abs(y[row * 64 + i] - Math.cos(angle)));
      worst = Math.max(worst, Math.abs(y[row * 64 + 32 + i] - Math.sin(angle)));
    })
  );
  if (worst > 2e-7) throw new Error(`the table is off by ${worst}`);
});

await test("bytes move within a buffer and between buffers", async (backend) => {
  const [a, b] = [backend.alloc(32), backend.alloc(16)];
  backend.write(a, 0, bytesOf(Float32Array.of(1, 2, 3, 4)));
  backend.copy(a, a, [{ from: 0, to: 16, length: 8 }, { from: 8, to: 24, length: 8 }]);
  backend.copy(a, b, [{ from: 4, to: 8, length: 8 }]);
  assertEquals(await floats(backend, a, 8), [1, 2, 3, 4, 1, 2, 3, 4]);
  assertEquals(await floats(backend, b, 4), [0, 0, 2, 3]);
  const odd = new Uint8Array(3);
  await backend.read(a, 1, odd);
  assertEquals(odd, Uint8Array.of(0, 0x80, 0x3f), "bytes 1 to 3 of 1.0");
  assertThrows(() => backend.write(a, 28, new Uint8Array(8)), OutOfBoundsError);
  assertThrows(() => backend.write(a, 2, new Uint8Array(4)), InvalidArgumentError);
});

await test("all memory comes back", async (backend) => {
  const before = backend.memory.used;
  const spec = { name: "w", dtype: "q8_0", shape: [4, 32], layout: "packed" } as const;
  const weight = await backend.upload(spec, memorySource("f32", new Uint8Array(512)));
  assertEquals(weight.bytes, backend.weightBytes(spec));
  const [x, y] = [backend.alloc(40), backend.alloc(40)];
  const executable = await backend.compile(doubling(10), new Map([["x", x], ["y", y]]));
  assertEquals(backend.memory.used, before + weight.bytes + 96 + executable.arenaBytes);
  executable[Symbol.dispose]();
  backend.freeWeight(weight);
  backend.free(x);
  backend.free(y);
  backend.free(y);
  assertEquals(backend.memory.used, before);
});

await test("a binding that the device refuses is an OutOfMemoryError at compile", async (backend) => {
  const g = new Recorder("huge");
  const x = g.input("x", "f32", [1, 1]);
  const wide = g.matmul(g.reshape(x, [1, 1]), g.constant("row", new Float32Array(1), [1, 1]));
  const huge = g.record("copy", [wide], { offset: 0, shape: [2 ** 30], strides: [0] })[0];
  g.output("y", g.reduce(huge, "sum"));
  const before = backend.memory.used;
  const bindings = new Map([["x", backend.alloc(4)], ["y", backend.alloc(4)]]);
  await assertRejects(() => backend.compile(g.finish(), bindings), OutOfMemoryError);
  assertEquals(backend.memory.used, before + 32);
});

await test("one buffer for an input and an output is refused at compile", async (backend) => {
  const x = backend.alloc(16);
  await assertRejects(
    () => backend.compile(doubling(4), new Map([["x", x], ["y", x]])),
    InvalidArgumentError,
    "bind them to two buffers",
  );
});

await test("a Q8 cache whose scales would share words with another head's is refused at compile", async (backend) => {
  const g = new Recorder("odd", { rows: 1, outputs: 0 });
  const [keys, values] = ["keys", "values"].map((name) => g.state(name, "q8_0", [2, 2, 3, 32]));
  const [k, v] = ["k", "v"].map((name) => g.input(name, "f32", ["rows", 64]));
  g.record("writeKv", [k, v, g.step("slots", "i32", ["rows"]), keys, values]);
  await assertRejects(
    () => Rig.create(backend, g.finish(), {}),
    UnsupportedOpError,
    "odd pages of odd blocks",
  );
});

await test("a Q16 cache, which it has no kernels for, is refused at compile", async (backend) => {
  const g = new Recorder("q16", { rows: 1, outputs: 0 });
  const [keys, values] = ["keys", "values"].map((name) => g.state(name, "q16", [2, 1, 32, 64]));
  const [k, v] = ["k", "v"].map((name) => g.input(name, "f32", ["rows", 64]));
  g.record("writeKv", [k, v, g.step("slots", "i32", ["rows"]), keys, values]);
  await assertRejects(() => Rig.create(backend, g.finish(), {}), UnsupportedOpError, "q16");
});

await test("bindings that are missing or too short are refused at compile", async (backend) => {
  const [short, y] = [backend.alloc(8), backend.alloc(16)];
  await assertRejects(() => backend.compile(doubling(4), new Map([["y", y]])), InvalidArgumentError, "x");
  await assertRejects(
    () => backend.compile(doubling(4), new Map([["x", short], ["y", y]])),
    OutOfBoundsError,
    "needs 16 bytes",
  );
});

await test("a step record of another Program is refused", async (backend) => {
  using rig = await Rig.create(backend, doubling(4), {});
  const g = new Recorder("other", { rows: 1, outputs: 1 });
  g.step("ids", "i32", ["rows"]);
  const [x, y] = [backend.alloc(16), backend.alloc(16)];
  const executable = await backend.compile(rig.program, new Map([["x", x], ["y", y]]));
  assertThrows(() => executable.run(new StepRecord(g.finish())), InvalidArgumentError, "step record");
  executable[Symbol.dispose]();
  assertThrows(() => executable.run(rig.step), BackendError, "disposed");
});

await test("what the device reports is thrown at the next call, once", async (backend) => {
  const buffer = backend.alloc(16);
  backend.free(buffer);
  backend.write(buffer, 0, new Uint8Array(16));
  await assertRejects(() => backend.read(backend.alloc(4), 0, new Uint8Array(4)), BackendError);
  await backend.read(backend.alloc(4), 0, new Uint8Array(4));
});

await test("a read that waits when the backend is disposed still arrives", async (backend) => {
  const buffer = backend.alloc(8);
  backend.write(buffer, 0, bytesOf(Float32Array.of(1, 2)));
  const values = floats(backend, buffer, 2);
  backend[Symbol.dispose]();
  assertEquals(await values, [1, 2]);
  assertThrows(() => backend.alloc(4), BackendError, "disposed");
});

await test("the memory limit holds", async (backend) => {
  using limited = await createWebGpuBackend({ memoryLimit: 1024 });
  const buffer = limited.alloc(1000);
  assertThrows(() => limited.alloc(100), OutOfMemoryError);
  limited.free(buffer);
  assertEquals(limited.memory, { limit: 1024, used: 0 });
  assertEquals(backend.name, limited.name);
});
