import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { Recorder } from "../program/recorder.ts";
import { Profile } from "./profile.ts";

function twoLayers() {
  const g = new Recorder("two", { rows: 8, outputs: 0 });
  let x = g.embed(g.step("ids", "i32", ["rows"]), g.weight("embedding", "f32", [10, 32]));
  for (const layer of [0, 1]) x = g.linear(x, g.weight(`layers.${layer}.up.weight`, "f32", [32, 32]));
  g.output("y", g.linear(x, g.weight("head", "f32", [10, 32])));
  return g.finish();
}

Deno.test("times are summed by op and by layer, the longest first", () => {
  const profile = new Profile();
  const program = twoLayers();
  profile.add({ program, milliseconds: Float64Array.of(1, 2, 3, 4) }, { rows: 4, outputs: 0 }, 10);
  assertEquals(profile.by("op").map(({ name, calls, milliseconds }) => [name, calls, milliseconds]), [
    ["linear", 3, 9],
    ["embed", 1, 1],
  ]);
  assertEquals(profile.by("layer").map(({ name, milliseconds }) => [name, milliseconds]), [
    ["head", 4],
    ["layer 1", 3],
    ["layer 0", 2],
    ["embedding", 1],
  ]);
  // 4 rows of 32 x 32 in 3 ms.
  const layer = profile.by("layer").find(({ name }) => name === "layer 1");
  assertAlmostEquals(layer?.gigaMultiplyAdds ?? 0, 4 * 32 * 32 / 3e-3 / 1e9);
  assertStringIncludes(profile.table(), "prefill by op");
  assert(!profile.table().includes("decode by op"));
});

Deno.test("the trace has an event an op, one after the other, in microseconds", () => {
  const profile = new Profile();
  const program = twoLayers();
  for (const rows of [4, 1]) {
    profile.add({ program, milliseconds: Float64Array.of(1, 1, 1, 1) }, { rows, outputs: 0 }, rows);
  }
  const { traceEvents } = profile.chromeTrace();
  assertEquals(traceEvents.map(({ ts }) => ts), [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000]);
  assertEquals(traceEvents.map(({ cat }) => cat).at(-1), "decode");
});
