import { assertEquals } from "@std/assert";
import { opCost } from "./cost.ts";
import { Recorder } from "./recorder.ts";

Deno.test("a linear costs rows times weights, and reads the weight once", () => {
  const g = new Recorder("linear", { rows: 8, outputs: 0 });
  const x = g.embed(g.step("ids", "i32", ["rows"]), g.weight("table", "f32", [10, 64]));
  g.output("y", g.linear(x, g.weight("w", "q8_0", [32, 64])));
  const program = g.finish();
  const cost = opCost(program, program.ops[1], { rows: 3, outputs: 0 }, 0);
  assertEquals(cost.multiplyAdds, 3 * 32 * 64);
  assertEquals(cost.bytes, 32 * 64 / 32 * 34 + 4 * 3 * 64 + 4 * 3 * 32);
});

Deno.test("paged attention costs by the keys that its rows see", () => {
  const g = new Recorder("attention", { rows: 4, outputs: 0 });
  const row = (name: string) => g.step(name, "i32", ["rows"]);
  const q = g.embed(row("ids"), g.weight("table", "f32", [10, 64]));
  const cache = (name: string) => g.state(name, "f16", [2, 1, 32, 16]);
  const table = g.step("pageTable", "i32", [1, 2]);
  const inputs = [q, cache("k"), cache("v"), row("lengths"), row("sequences"), table];
  g.output("y", g.record("pagedAttention", inputs, { heads: 4, scale: 0.25 })[0]);
  const program = g.finish();
  const cost = opCost(program, program.ops[1], { rows: 2, outputs: 0 }, 5);
  assertEquals(cost.multiplyAdds, 2 * 5 * 4 * 16);
  assertEquals(cost.bytes, 2 * 5 * 16 * 2 + 4 * 2 * 64 * 2);
});
