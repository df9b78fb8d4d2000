import { assert, assertAlmostEquals } from "@std/assert";
import { fitLine } from "./line.ts";

Deno.test("points on a line give that line", () => {
  const line = fitLine([128, 1024, 8192].map((length) => ({ length, milliseconds: 3 + 0.002 * length })));
  assertAlmostEquals(line.base, 3, 1e-9);
  assertAlmostEquals(line.slope, 0.002, 1e-12);
  assertAlmostEquals(line.deviation, 0, 1e-9);
});

Deno.test("a cost that grows with the square of the length is no line", () => {
  const points = [128, 512, 2048, 8192].map((length) => ({ length, milliseconds: 3 + 1e-6 * length ** 2 }));
  assert(fitLine(points).deviation > 0.3);
});
