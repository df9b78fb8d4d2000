import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { relativeBuckets } from "./relative_bias.ts";

interface BucketCase {
  buckets: number;
  max_distance: number;
  bidirectional: boolean;
  by_distance: number[];
}

const GOLDEN = new URL("../../tests/fixtures/relative_bias/buckets.json", import.meta.url);

Deno.test("buckets are those of the reference implementation", async () => {
  const { cases }: { cases: BucketCase[] } = JSON.parse(await Deno.readTextFile(GOLDEN));
  for (const { buckets, max_distance: maxDistance, bidirectional, by_distance: expected } of cases) {
    assertEquals([...relativeBuckets({ buckets, maxDistance }, bidirectional)], expected);
  }
});

Deno.test("buckets are within the table, and farther keys are never in a nearer bucket", () => {
  fc.assert(fc.property(
    fc.integer({ min: 2, max: 32 }),
    fc.integer({ min: 1, max: 300 }),
    fc.boolean(),
    (half, beyond, bidirectional) => {
      const [buckets, maxDistance] = [2 * half, half + beyond];
      const found = relativeBuckets({ buckets, maxDistance }, bidirectional);
      const behind = [...found.subarray(0, maxDistance + 1)].reverse();
      assertEquals(found.every((bucket) => bucket >= 0 && bucket < buckets), true);
      assertEquals(behind, behind.toSorted((a, b) => a - b));
    },
  ));
});
