/** The lifecycle, the books and the errors of the backends over `core/`, on every shim that this machine has. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  BackendError,
  InvalidArgumentError,
  OutOfBoundsError,
  OutOfMemoryError,
  ShapeError,
} from "../../errors.ts";
import { Recorder } from "../../program/recorder.ts";
import { StepRecord } from "../../program/step.ts";
import type { DType } from "../../tensor/dtype.ts";
import { quantize } from "../../tensor/quantize.ts";
import { testOnBackends } from "../../../tests/support/backends.ts";
import type { Backend, Buffer, WeightHandle, WeightSource } from "../backend.ts";

const onCore = (name: string, run: (backend: Backend) => Promise<void> | void): Promise<void> =>
  testOnBackends(name, async (backend) => await run(backend), (name) => name === "wasm" || name === "native");

/** A source that can only be read asynchronously, a piece at a time. */
function source(dtype: DType, bytes: Uint8Array): WeightSource {
  const read = (offset: number, length: number): Promise<Uint8Array> =>
    Promise.resolve(bytes.slice(offset, offset + length));
  return { dtype, byteLength: bytes.length, read };
}

const bytesOf = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);

async function floats(backend: Backend, buffer: Buffer): Promise<number[]> {
  const out = new Float32Array(buffer.bytes / 4);
  await backend.read(buffer, 0, new Uint8Array(out.buffer));
  return [...out];
}

function filled(backend: Backend, values: number[]): Buffer {
  const buffer = backend.alloc(4 * values.length);
  backend.write(buffer, 0, bytesOf(Float32Array.from(values)));
  return buffer;
}

await onCore("memory is zeroed, counted and checked", async (backend) => {
  const buffer = backend.alloc(12);
  assertEquals(backend.memory.used, 12);
  assertEquals(await floats(backend, buffer), [0, 0, 0]);
  backend.write(buffer, 4, bytesOf(Float32Array.of(1, 2)));
  backend.copy(buffer, buffer, [{ from: 8, to: 0, length: 4 }]);
  assertEquals(await floats(backend, buffer), [2, 1, 2]);
  assertThrows(() => backend.write(buffer, 8, new Uint8Array(5)), OutOfBoundsError);
  await assertRejects(() => backend.read(buffer, -1, new Uint8Array(4)), OutOfBoundsError);
  backend.free(buffer);
  assertEquals(backend.memory.used, 0);
  assertThrows(() => backend.free(buffer), InvalidArgumentError);
  assertThrows(() => backend.write(buffer, 0, new Uint8Array(1)), InvalidArgumentError);
});

await onCore("memory that cannot be had is a typed error, and leaves the rest usable", async (backend) => {
  const buffer = backend.alloc(8);
  const error = assertThrows(() => backend.alloc(2 ** 52), OutOfMemoryError);
  assertEquals(error.required, 2 ** 52);
  const spec = { name: "w", dtype: "f32", shape: [2 ** 24, 2 ** 24], layout: "packed" } as const;
  const endless = { ...source("f32", new Uint8Array()), byteLength: 2 ** 50 };
  await assertRejects(() => backend.upload(spec, endless), OutOfMemoryError);
  assertEquals(backend.memory.used, 8);
  backend.write(buffer, 0, new Uint8Array(8));
});

await onCore("weights are streamed, converted and accounted for", async (backend) => {
  const values = Float32Array.from({ length: 40 * 64 }, (_, i) => Math.sin(i));
  for (const dtype of ["f32", "f16", "q8_0", "q4_1"] as const) {
    const spec = { name: "w", dtype, shape: [40, 64], layout: "packed" } as const;
    const same = await backend.upload(spec, source(dtype, quantize(dtype, values)));
    const converted = await backend.upload(spec, source("f32", bytesOf(values)));
    assertEquals(same.bytes, backend.weightBytes(spec));
    assertEquals(backend.memory.used, same.bytes + converted.bytes);
    assertEquals(await embedded(backend, converted, 39), await embedded(backend, same, 39));
    backend.freeWeight(same);
    backend.freeWeight(converted);
    assertEquals(backend.memory.used, 0);
  }
});

await onCore("uploads at the same time do not disturb each other", async (backend) => {
  const spec = { name: "w", dtype: "f32", shape: [40, 64], layout: "packed" } as const;
  const all = [1, 2, 3].map((seed) => Float32Array.from({ length: 40 * 64 }, (_, i) => Math.sin(seed * i)));
  const weights = await Promise.all(
    all.map((values) => backend.upload(spec, source("f32", bytesOf(values)))),
  );
  for (const [i, weight] of weights.entries()) {
    assertEquals(await embedded(backend, weight, 39), [...all[i].subarray(39 * 64)]);
    backend.freeWeight(weight);
  }
});

/** One row of a packed weight of 40 rows. */
async function embedded(backend: Backend, weight: WeightHandle, row: number): Promise<number[]> {
  const g = new Recorder("embed");
  const w = g.weight("w", weight.spec.dtype, weight.spec.shape as number[]);
  g.output("y", g.embed(g.constant("ids", Int32Array.of(row), [1]), w));
  const program = g.finish();
  const y = backend.alloc(4 * 64);
  using executable = await backend.compile(
    program,
    new Map<string, Buffer | WeightHandle>([["w", weight], ["y", y]]),
  );
  executable.run(new StepRecord(program));
  const out = await floats(backend, y);
  backend.free(y);
  return out;
}

await onCore("an upload that fails or is aborted leaves nothing behind", async (backend) => {
  const spec = { name: "w", dtype: "f32", shape: [64, 32], layout: "packed" } as const;
  const bytes = new Uint8Array(4 * 64 * 32);
  const controller = new AbortController();
  controller.abort();
  await assertRejects(() => backend.upload(spec, source("f32", bytes), controller.signal));
  await assertRejects(() => backend.upload(spec, source("f32", bytes.subarray(4))), InvalidArgumentError);
  await assertRejects(
    () => backend.upload({ ...spec, shape: [64] }, source("f32", new Uint8Array(256))),
    ShapeError,
  );
  const short = { ...source("f32", bytes), read: () => Promise.resolve(new Uint8Array(3)) };
  await assertRejects(() => backend.upload(spec, short), InvalidArgumentError);
  assertEquals(backend.memory.used, 0);
});

await onCore("a Program of fused and plain ops gives what a hand computes", async (backend) => {
  const g = new Recorder("small", { rows: 2, outputs: 1 });
  const x = g.embed(g.step("ids", "i32", ["rows"]), g.weight("table", "f32", [3, 2]));
  const doubled = g.add(x, x);
  g.output("normed", g.rmsNorm(doubled, g.weight("norm", "f32", [2]), 0));
  const last = g.gatherRows(doubled, g.step("last", "i32", ["outputs"]));
  g.output("logits", g.linear(last, g.weight("table", "f32", [3, 2])));
  const program = g.finish();
  const table = await backend.upload(
    { name: "table", dtype: "f32", shape: [3, 2], layout: "packed" },
    source("f32", bytesOf(Float32Array.of(1, 0, 3, 4, 0, 2))),
  );
  const norm = await backend.upload(
    { name: "norm", dtype: "f32", shape: [2], layout: "plain" },
    source("bf16", quantize("bf16", Float32Array.of(1, 10))),
  );
  const [normed, logits] = [filled(backend, [9, 9, 9, 9]), backend.alloc(12)];
  const before = backend.memory.used;
  const bindings = new Map<string, Buffer | WeightHandle>(Object.entries({ table, norm, normed, logits }));
  const executable = await backend.compile(program, bindings);
  assertEquals(backend.memory.used, before + executable.arenaBytes);

  const step = new StepRecord(program);
  step.setCounts(1, 1);
  step.ints("ids").set([1]);
  executable.run(step);
  assertEquals(await floats(backend, logits), [6, 50, 16]);
  const rms = Math.fround(Math.sqrt(50));
  const [first, second, ...rest] = await floats(backend, normed);
  assert(Math.abs(first - 6 / rms) < 1e-6 && Math.abs(second - 80 / rms) < 1e-5);
  assertEquals(rest, [9, 9], "rows that the step does not have stay as they are");

  for (const [name, index] of [["ids", 3], ["ids", -1], ["last", 1]] as const) {
    step.ints("ids").fill(0);
    step.ints("last").fill(0);
    step.ints(name).fill(index);
    // Where threads run the step, a read tells what became of it.
    const failing = async (): Promise<unknown> => {
      executable.run(step);
      return await floats(backend, logits);
    };
    await assertRejects(failing, OutOfBoundsError, `${index}`);
  }
  executable[Symbol.dispose]();
  assertEquals(backend.memory.used, before);
  assertThrows(() => executable.run(step), BackendError);
});

await onCore("a dtype for caches is none for weights", async (backend) => {
  const spec = { name: "w", dtype: "q16", shape: [2, 64], layout: "packed" } as const;
  assertThrows(() => backend.weightBytes(spec), InvalidArgumentError, "q16 cannot be packed");
  await assertRejects(() => backend.upload(spec, source("q16", new Uint8Array(264))), InvalidArgumentError);
  assertEquals(backend.supports("linear", ["f32", "q16"]), false);
  assertEquals(backend.supports("writeKv", ["f32", "f32", "i32", "q16", "q16"]), true);
});

await onCore("what a Program is bound to must fit", async (backend) => {
  const g = new Recorder("bound");
  g.output("y", g.linear(g.input("x", "f32", [1, 32]), g.weight("w", "q8_0", [2, 32])));
  const program = g.finish();
  const spec = { name: "w", dtype: "f32", shape: [2, 32], layout: "packed" } as const;
  const w = await backend.upload(spec, source("f32", new Uint8Array(256)));
  const [x, y] = [backend.alloc(128), backend.alloc(8)];
  const compile = (bindings: Record<string, Buffer | WeightHandle>): Promise<unknown> =>
    backend.compile(program, new Map(Object.entries(bindings)));
  await assertRejects(() => compile({ x, y }), InvalidArgumentError, "w");
  await assertRejects(() => compile({ x, y, w }), InvalidArgumentError, "q8_0");
  await assertRejects(() => compile({ x: y, y, w }), InvalidArgumentError, "128");
  await assertRejects(() => compile({ x: w, y, w }), InvalidArgumentError, "x");
});

await onCore("a disposed backend says so", (backend) => {
  backend.alloc(64);
  backend[Symbol.dispose]();
  backend[Symbol.dispose]();
  assertThrows(() => backend.alloc(64), BackendError);
});
