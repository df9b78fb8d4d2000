import { assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import { normalize, pool } from "./pooling.ts";

const ROWS = Float32Array.of(1, 2, 3, 4, 8, 9);

Deno.test("each pooling takes its rows", () => {
  assertEquals(pool(ROWS, 2, "mean"), [Float32Array.of(4, 5)]);
  assertEquals(pool(ROWS, 2, "cls"), [Float32Array.of(1, 2)]);
  assertEquals(pool(ROWS, 2, "last"), [Float32Array.of(8, 9)]);
  assertEquals(pool(ROWS, 2, "none"), [Float32Array.of(1, 2), Float32Array.of(3, 4), Float32Array.of(8, 9)]);
});

Deno.test("a normalized vector has the length 1 and its direction", () => {
  fc.assert(fc.property(fc.float32Array({ min: -100, max: 100, noNaN: true, minLength: 1 }), (vector) => {
    const unit = normalize(vector);
    const length = Math.hypot(...vector);
    fc.pre(length > 1e-3);
    assertAlmostEquals(Math.hypot(...unit), 1, 1e-5);
    unit.forEach((x, i) => assertAlmostEquals(x * length, vector[i], 1e-3));
  }));
  assertEquals(normalize(new Float32Array(3)), new Float32Array(3));
});
