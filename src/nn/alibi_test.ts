import { assertEquals, assertThrows } from "@std/assert";
import { InvalidArgumentError } from "../errors.ts";
import { alibiSlopes } from "./alibi.ts";

Deno.test("slopes of a power of two are one geometric series", () => {
  assertEquals([...alibiSlopes(4)], [0.25, 0.0625, 0.015625, 0.00390625]);
});

Deno.test("slopes of other counts fill up from the next larger series", () => {
  assertEquals([...alibiSlopes(3)], [0.0625, 0.00390625, 0.25]);
  assertEquals(alibiSlopes(12).length, 12);
});

Deno.test("slopes of no heads are refused", () => {
  assertThrows(() => alibiSlopes(0), InvalidArgumentError);
});
