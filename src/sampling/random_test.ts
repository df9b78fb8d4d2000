import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { philox, uniform } from "./random.ts";

Deno.test("philox gives the known answers of the Random123 distribution", () => {
  // kat_vectors, philox4x32 10.
  assertEquals(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  assertEquals(philox([ones, ones, ones, ones], [ones, ones]), [
    0x408f276d,
    0x41c83b0e,
    0xa20bc7c6,
    0x6d5451fd,
  ]);
  assertEquals(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

Deno.test("uniform depends on its arguments only and lies in [0, 1)", () => {
  const word = fc.integer({ min: 0, max: 2 ** 31 });
  fc.assert(fc.property(fc.maxSafeNat(), word, word, (seed, position, draw) => {
    const value = uniform(seed, position, draw);
    assert(value >= 0 && value < 1);
    assertEquals(uniform(seed, position, draw), value);
  }));
});

Deno.test("seeds above 32 bits, positions and draws all change the number", () => {
  const values = [uniform(1, 0), uniform(1 + 2 ** 32, 0), uniform(1, 1), uniform(1, 0, 1), uniform(2, 0)];
  assertEquals(new Set(values).size, values.length);
});

Deno.test("uniform is uniform: chi-square over 64 bins", () => {
  const [bins, draws] = [64, 64_000];
  const counts = new Array<number>(bins).fill(0);
  for (let i = 0; i < draws; i++) counts[Math.floor(uniform(7, i) * bins)]++;
  const expected = draws / bins;
  const chi2 = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 63 degrees of freedom: 99.9 % of samples are below 103.4.
  assert(chi2 < 103.4, `chi-square ${chi2}`);
});
