import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { assignTemporaries } from "./temporaries.ts";

Deno.test("a chain of ops needs two buffers", () => {
  const chain = [0, 1, 2, 3].map((id) => ({ id, first: id, last: id + 1, bytes: 64 * (id + 1) }));
  const { sizes, slots } = assignTemporaries(chain);
  assertEquals([...slots], [[0, 0], [1, 1], [2, 0], [3, 1]]);
  assertEquals(sizes, [192, 256]);
});

Deno.test("temporaries that are touched by one op never share a buffer", () => {
  const lifetime = fc.record({ first: fc.nat(20), length: fc.nat(10), bytes: fc.nat(1000) });
  fc.assert(
    fc.property(fc.array(lifetime, { maxLength: 40 }), (spans) => {
      const lifetimes = spans.map(({ first, length, bytes }, id) => ({
        id,
        first,
        last: first + length,
        bytes,
      }));
      const { sizes, slots } = assignTemporaries(lifetimes);
      for (const a of lifetimes) {
        assert(sizes[slots.get(a.id)!] >= a.bytes);
        for (const b of lifetimes) {
          const meet = a.id !== b.id && a.first <= b.last && b.first <= a.last;
          assert(!meet || slots.get(a.id) !== slots.get(b.id));
        }
      }
    }),
    { seed: 1 },
  );
});
