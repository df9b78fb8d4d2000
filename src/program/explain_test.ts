import { assertEquals } from "@std/assert";
import { explain } from "./explain.ts";
import { Recorder } from "./recorder.ts";

Deno.test("a Program reads as a list of assignments", () => {
  const g = new Recorder("small", { rows: 8, outputs: 2 });
  const ids = g.step("ids", "i32", ["rows"]);
  const x = g.embed(ids, g.weight("tokens", "q8_0", [100, 64]));
  const normed = g.rmsNorm(x, g.weight("norm", "f32", [64]), 1e-5);
  const split = g.reshape(normed, ["rows", 2, 32]);
  const table = g.record("ropeTable", [ids], { inverseFrequencies: [1, 2, 3, 4, 5, 6, 7] });
  g.output("y", g.softmax(g.linear(split, g.weight("w", "q4_0", [5, 32]))));
  assertEquals(table.length, 1);
  assertEquals(
    explain(g.finish()),
    `program small (rows ≤ 8, outputs ≤ 2)
  step ids: i32[rows]
  output y: f32[rows,2,5]
  3 weights
  %2 f32[rows,64] = embed(ids, w:tokens)
  %4 f32[rows,64] = rmsNorm(%2, w:norm) {eps: 0.00001}
  %6 f32[rows,14] = ropeTable(ids) {inverseFrequencies: [1,2,3, … 7]}
  %8 f32[rows,2,5] = linear(%4:[rows,2,32], w:w)
  y f32[rows,2,5] = softmax(%8)`,
  );
});

Deno.test("an absent input before a given one keeps its place", () => {
  const g = new Recorder("small");
  const x = g.input("x", "f32", [4]);
  g.output("y", g.layerNorm(x, undefined, g.input("b", "f32", [4]), 1));
  assertEquals(explain(g.finish()).split("\n").at(-1), "  y f32[4] = layerNorm(x, –, b) {eps: 1}");
});
