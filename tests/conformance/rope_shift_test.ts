/** What `ropeShift` refuses: threads must not turn the same keys, and keys must be in the cache. @module */
import { assertRejects } from "@std/assert";
import { LLMForgeError } from "../../src/errors.ts";
import { Recorder } from "../../src/program/recorder.ts";
import { testOnBackends } from "../support/backends.ts";
import { Rig } from "../support/rig.ts";

await testOnBackends("a page that is given twice or is not there is not turned", async (backend) => {
  const g = new Recorder("test", { rows: 3, outputs: 0 });
  const [table] = g.record("ropeTable", [g.step("shifts", "i32", ["rows"])], {
    inverseFrequencies: [1, 0.1],
  });
  const keys = g.state("keys", "f32", [4, 2, 8, 4]);
  g.record("ropeShift", [table, g.step("pages", "i32", ["rows"]), keys]);
  // Something to wait for.
  g.output(
    "y",
    g.record("ropeTable", [g.step("positions", "i32", ["rows"])], { inverseFrequencies: [1] })[0],
  );
  using rig = await Rig.create(backend, g.finish(), {});
  const turn = async (...pages: number[]): Promise<void> => {
    rig.fill({ pages: Int32Array.from(pages) });
    rig.run({ rows: 3, outputs: 0 });
    await rig.read();
  };
  await turn(3, -1, 0);
  await turn(-1, -1, -1);
  await assertRejects(() => turn(1, 2, 1), LLMForgeError, "given twice");
  await assertRejects(() => turn(0, 4, 1), LLMForgeError, "4");
}, (name) => name !== "webgpu");
