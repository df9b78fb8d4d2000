/** Workers that come, go and die. @module */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BackendError } from "../../errors.ts";
import { Recorder } from "../../program/recorder.ts";
import { StepRecord } from "../../program/step.ts";
import type { Backend, Buffer, Executable } from "../backend.ts";
import type { CoreBuffer } from "../core/ledger.ts";
import { createWasmBackend } from "./mod.ts";

/** y = x + x over so many rows. */
async function doubling(
  backend: Backend,
  y: Buffer,
  x: Buffer = backend.alloc(y.bytes),
): Promise<{ executable: Executable; step: StepRecord; x: Buffer }> {
  const g = new Recorder("doubling");
  const shape = [y.bytes / 4];
  const input = g.input("x", "f32", shape);
  g.output("y", g.add(input, input));
  const program = g.finish();
  const executable = await backend.compile(program, new Map(Object.entries({ x, y })));
  return { executable, step: new StepRecord(program), x };
}

async function firstFloat(backend: Backend, buffer: Buffer): Promise<number> {
  const out = new Float32Array(1);
  await backend.read(buffer, 0, new Uint8Array(out.buffer));
  return out[0];
}

const one = new Uint8Array(Float32Array.of(1).buffer);

Deno.test("steps of several Programs, reads and writes keep their order", async () => {
  using backend = await createWasmBackend({ threads: 2, partWork: 0 });
  const [a, b, c] = [1, 2, 3].map(() => backend.alloc(4 << 16));
  // a → b → c → a, each twice what came before
  const ring = [await doubling(backend, b, a), await doubling(backend, c, b), await doubling(backend, a, c)];
  backend.write(a, 0, one);
  const reads: Promise<number>[] = [];
  for (let i = 0; i < 60; i++) {
    const { executable, step } = ring[i % 3];
    executable.run(step);
    reads.push(firstFloat(backend, [b, c, a][i % 3]));
  }
  assertEquals(await Promise.all(reads), Array.from({ length: 60 }, (_, i) => 2 ** (i + 1)));
  ring[0].executable.run(ring[0].step);
  // Waits for the step before it writes.
  backend.write(b, 0, one);
  assertEquals(await firstFloat(backend, b), 1);
});

Deno.test("disposing waits for what runs", async () => {
  const backend = await createWasmBackend({ threads: 2, partWork: 0 });
  const { executable, step } = await doubling(backend, backend.alloc(4 << 20));
  for (let i = 0; i < 20; i++) executable.run(step);
  backend[Symbol.dispose]();
  backend[Symbol.dispose]();
});

Deno.test("a worker that dies is an error of the next read, and of all later ones", async () => {
  using backend = await createWasmBackend({ threads: 2, partWork: 0 });
  const sound = await doubling(backend, backend.alloc(64));
  const y = backend.alloc(64);
  const { address } = y as CoreBuffer;
  // Whoever writes there is trapped: memory does not reach so far.
  const { executable, step } = await doubling(backend, Object.assign(y, { address: 0xffff_0000 }));
  executable.run(step);
  await assertRejects(() => backend.read(sound.x, 0, new Uint8Array(4)), BackendError, "died");
  sound.executable.run(sound.step);
  await assertRejects(() => backend.read(sound.x, 0, new Uint8Array(4)), BackendError, "died");
  // What is left of it can be freed.
  Object.assign(y, { address });
});

Deno.test("without SharedArrayBuffer it computes on the calling thread and says why", async () => {
  const { SharedArrayBuffer } = globalThis;
  try {
    Reflect.deleteProperty(globalThis, "SharedArrayBuffer");
    using backend = await createWasmBackend({ threads: 2 });
    assertEquals(backend.device.threads, 1);
    assert(backend.device.features.some((feature) => feature.startsWith("no threads: ")));
  } finally {
    Object.assign(globalThis, { SharedArrayBuffer });
  }
});

Deno.test("a hundred teams come and go", async () => {
  for (let i = 0; i < 100; i++) {
    using backend = await createWasmBackend({ threads: 1 + i % 3, partWork: 0 });
    const y = backend.alloc(1024);
    const { executable, step, x } = await doubling(backend, y);
    backend.write(x, 0, one);
    executable.run(step);
    assertEquals(await firstFloat(backend, y), 2);
  }
});
