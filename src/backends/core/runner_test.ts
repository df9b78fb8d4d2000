/** Steps that are enqueued behind others: their order, and what each of them finds and leaves. @module */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BackendError, InvalidArgumentError, OutOfBoundsError } from "../../errors.ts";
import { Recorder } from "../../program/recorder.ts";
import { StepRecord } from "../../program/step.ts";
import { testOnBackends } from "../../../tests/support/backends.ts";
import type { Backend, Buffer, Executable } from "../backend.ts";
import { createWasmBackend } from "../wasm/mod.ts";
import type { CoreBuffer } from "./ledger.ts";

/** Ids of the walks below; an id's successor is the next one times 5. */
const IDS = 48;
const after = (id: number): number => (id * 5 + 7) % IDS;

/** A Program whose rows walk from an id to the next. */
interface Walk {
  readonly executable: Executable;
  readonly step: StepRecord;
  /** Where each row has gone to, [2]. */
  readonly ids: Buffer;
}

async function walk(backend: Backend): Promise<Walk> {
  const g = new Recorder("walk", { rows: 2, outputs: 0 });
  const table = g.weight("table", "f32", [IDS, IDS]);
  g.output("ids", g.argmax(g.embed(g.step("from", "i32", ["rows"]), table)));
  const program = g.finish();
  const values = new Float32Array(IDS * IDS);
  for (let id = 0; id < IDS; id++) values[id * IDS + after(id)] = 1;
  const bytes = new Uint8Array(values.buffer);
  const weight = await backend.upload({ name: "table", dtype: "f32", shape: [IDS, IDS], layout: "packed" }, {
    dtype: "f32",
    byteLength: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
  });
  const ids = backend.alloc(8);
  const executable = await backend.compile(
    program,
    new Map<string, typeof weight | Buffer>([["table", weight], ["ids", ids]]),
  );
  return { executable, step: new StepRecord(program), ids };
}

function run({ executable, step }: Walk, from: readonly number[]): void {
  step.setCounts(from.length, 0);
  step.ints("from").set(from);
  executable.run(step);
}

/** Goes on from where the step before ends. */
function goOn({ executable, step, ids }: Walk): void {
  step.setCounts(2, 0);
  step.ints("from").fill(-1);
  executable.runFed?.(step, { from: ids, field: "from", words: 2 });
}

async function read(backend: Backend, { ids }: Walk): Promise<number[]> {
  const out = new Int32Array(2);
  await backend.read(ids, 0, new Uint8Array(out.buffer));
  return [...out];
}

/** Runs on the backends whose steps run behind the host's back. */
const onTeams = (name: string, body: (backend: Backend, walk: Walk) => Promise<void>): Promise<void> =>
  testOnBackends(name, async (backend, _, label) => {
    const walking = await walk(backend);
    const hasTeam = /thread/.test(label);
    assertEquals(walking.executable.runFed !== undefined, hasTeam);
    if (hasTeam) await body(backend, walking);
  }, (name) => name === "wasm" || name === "native");

await onTeams(
  "a fed step goes on with what the step before has left, which can be read still",
  async (backend, it) => {
    let expected = [3, 40];
    run(it, expected);
    let left = read(backend, it);
    for (let i = 0; i < 400; i++) {
      goOn(it);
      expected = expected.map(after);
      assertEquals(await left, expected, `step ${i}`);
      left = read(backend, it);
      // Now and then the host is late, and finds that nothing runs.
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
    }
    assertEquals(await left, expected.map(after));
  },
);

await onTeams("many fed steps and reads may be enqueued at once", async (backend, it) => {
  let expected = [11, 0];
  run(it, expected);
  const reads = [read(backend, it), read(backend, it)];
  for (let i = 0; i < 60; i++) {
    goOn(it);
    if (i % 3 > 0) reads.push(read(backend, it));
  }
  const all = await Promise.all(reads);
  expected = expected.map(after);
  assertEquals(all.slice(0, 2), [expected, expected]);
  let next = 2;
  for (let i = 0; i < 60; i++) {
    expected = expected.map(after);
    if (i % 3 > 0) assertEquals(all[next++], expected, `step ${i}`);
  }
});

await onTeams("what is read meanwhile may be larger than what is put aside", async (backend, it) => {
  const large = backend.alloc(1 << 20);
  const into = new Uint8Array(1 << 20);
  run(it, [1, 2]);
  const reading = backend.read(large, 0, into.fill(1));
  goOn(it);
  assertEquals(await read(backend, it), [1, 2].map(after).map(after));
  await reading;
  assertEquals(into.includes(1), false);
});

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
      assertEquals((await next)[0] < IDS, true);
    }
  },
);

await onTeams("a fed step takes no more words than there are", async (_, { executable, step, ids }) => {
  step.setCounts(2, 0);
  const fed = (words: number, from = ids) => (): void =>
    executable.runFed?.(step, { from, field: "from", words });
  assertThrows(fed(3), InvalidArgumentError);
  assertThrows(fed(1, { bytes: 8 }), InvalidArgumentError);
  await Promise.resolve();
});

await onTeams("disposing waits for a step that follows", async (backend, it) => {
  run(it, [3, 4]);
  const reading = read(backend, it);
  goOn(it);
  it.executable[Symbol.dispose]();
  assertThrows(() => goOn(it), BackendError);
  assertEquals(await reading, [3, 4].map(after));
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
