/** Steps that follow others on threads, where something goes wrong. @module */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BackendError, OutOfBoundsError } from "../../errors.ts";
import { Recorder } from "../../program/recorder.ts";
import { StepRecord } from "../../program/step.ts";
import { testOnBackends } from "../../../tests/support/backends.ts";
import { after, goOn, IDS, read, run, type Walk, walk } from "../../../tests/support/walk.ts";
import type { Backend } from "../backend.ts";
import { createWasmBackend } from "../wasm/mod.ts";
import type { CoreBuffer } from "./ledger.ts";

/** Runs on the backends that have threads. */
const onTeams = (name: string, body: (backend: Backend, walk: Walk) => Promise<void>): Promise<void> =>
  testOnBackends(name, async (backend, _, label) => {
    const walking = await walk(backend);
    if (/thread/.test(label)) await body(backend, walking);
  }, (name) => name === "wasm" || name === "native");

await onTeams(
  "a step that fails is told to its own reader, and what was enqueued behind it is run",
  async (backend, it) => {
    for (let i = 0; i < 50; i++) {
      run(it, [5, 6]);
      assertEquals(await read(backend, it), [5, 6].map(after));
      run(it, [0, IDS]);
      const failing = read(backend, it);
      it.step.setCounts(1, 0);
      it.step.ints("from").fill(-1);
      it.executable.runFed?.(it.step, { from: it.ids, field: "from", words: 1 });
      const next = read(backend, it);
      await assertRejects(() => failing, OutOfBoundsError);
      // The one that failed has not touched what the one before has left.
      assertEquals((await next)[0], after(after(5)));
    }
  },
);

await onTeams("disposing waits for a step that follows", async (backend, it) => {
  run(it, [3, 4]);
  const reading = read(backend, it);
  goOn(it);
  it.executable[Symbol.dispose]();
  assertThrows(() => goOn(it), BackendError);
  assertEquals(await reading, [3, 4].map(after));
  assertEquals(await read(backend, it), [3, 4].map(after).map(after));
});

Deno.test("a worker that dies takes the step that follows with it", async () => {
  using backend = await createWasmBackend({ threads: 2, partWork: 0 });
  const sound = await walk(backend);
  const g = new Recorder("doubling");
  const x = backend.alloc(64);
  const y = backend.alloc(64);
  const { address } = y as CoreBuffer;
  const input = g.input("x", "f32", [16]);
  g.output("y", g.add(input, input));
  const program = g.finish();
  // Whoever writes there is trapped: memory does not reach so far.
  Object.assign(y, { address: 0xffff_0000 });
  const executable = await backend.compile(program, new Map(Object.entries({ x, y })));
  executable.run(new StepRecord(program));
  const first = read(backend, sound);
  goOn(sound);
  await assertRejects(() => first, BackendError, "died");
  await assertRejects(() => read(backend, sound), BackendError, "died");
  Object.assign(y, { address });
});
