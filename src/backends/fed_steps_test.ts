/** Steps whose record is fed by the step before: what each of them finds and leaves. @module */
import { assertEquals, assertThrows } from "@std/assert";
import { InvalidArgumentError } from "../errors.ts";
import { testOnBackends } from "../../tests/support/backends.ts";
import { after, goOn, read, run, type Walk, walk } from "../../tests/support/walk.ts";
import type { Backend } from "./backend.ts";

/** Runs on the backends whose steps run behind the host's back. */
const onQueues = (name: string, body: (backend: Backend, walk: Walk) => Promise<void>): Promise<void> =>
  testOnBackends(name, async (backend, _, label) => {
    const walking = await walk(backend);
    const hasQueue = /thread|webgpu/.test(label);
    assertEquals(walking.executable.runFed !== undefined, hasQueue);
    if (hasQueue) await body(backend, walking);
  });

await onQueues(
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

await onQueues("many fed steps and reads may be enqueued at once", async (backend, it) => {
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

await onQueues("what is read meanwhile may be larger than what is put aside", async (backend, it) => {
  const large = backend.alloc(1 << 20);
  const into = new Uint8Array(1 << 20);
  run(it, [1, 2]);
  const reading = backend.read(large, 0, into.fill(1));
  goOn(it);
  assertEquals(await read(backend, it), [1, 2].map(after).map(after));
  await reading;
  assertEquals(into.includes(1), false);
});

await onQueues("a fed step takes no more words than there are", async (_, { executable, step, ids }) => {
  step.setCounts(2, 0);
  const fed = (words: number, from = ids) => (): void =>
    executable.runFed?.(step, { from, field: "from", words });
  assertThrows(fed(3), InvalidArgumentError);
  assertThrows(fed(1, { bytes: 8 }), InvalidArgumentError);
  await Promise.resolve();
});
