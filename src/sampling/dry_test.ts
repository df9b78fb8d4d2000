import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { dry } from "./dry.ts";

/** DRY as its description says it, by trying every place and every length. */
function naiveDry(
  history: readonly number[],
  breakers: readonly (readonly number[])[],
  least: number,
): Map<number, number> {
  const n = history.length;
  const broken = (from: number): boolean =>
    breakers.some((breaker) =>
      [...history.keys()].some((at) =>
        at + breaker.length > from && at < n && breaker.every((id, i) => history[at + i] === id)
      )
    );
  const lengths = new Map<number, number>();
  for (let at = 1; at < n; at++) {
    if (breakers.some(([first, ...rest]) => first === history[at] && rest.length === 0)) continue;
    for (let length = least; length <= at; length++) {
      const same = Array.from({ length }, (_, i) => history[at - 1 - i] === history[n - 1 - i]).every(
        Boolean,
      );
      if (same && !broken(n - length)) {
        lengths.set(history[at], Math.max(lengths.get(history[at]) ?? 0, length));
      }
    }
  }
  return lengths;
}

Deno.test("DRY finds the longest repetition of each token, as trying them all does", () => {
  const history = fc.array(fc.nat({ max: 3 }), { maxLength: 40 });
  const breakers = fc.array(fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 1 }), { maxLength: 1 });
  fc.assert(
    fc.property(history, breakers, fc.integer({ min: 1, max: 4 }), (tokens, drySequenceBreakers, least) => {
      const logits = new Float32Array(5);
      dry(logits, tokens, {
        dryMultiplier: 0.5,
        dryBase: 2,
        dryAllowedLength: least,
        dryWindow: 100,
        drySequenceBreakers,
      });
      const expected = naiveDry(tokens, drySequenceBreakers, least);
      for (const [id, logit] of logits.entries()) {
        const length = expected.get(id);
        assertEquals(
          logit,
          length === undefined ? 0 : Math.fround(-0.5 * 2 ** Math.min(length - least, 128)),
        );
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("DRY: a repetition does not reach across a breaker of several tokens", () => {
  const options = {
    dryMultiplier: 1,
    dryBase: 2,
    dryAllowedLength: 2,
    dryWindow: 100,
    drySequenceBreakers: [[8, 9]],
  };
  const penalty = (history: number[]): number => {
    const logits = new Float32Array(10);
    dry(logits, history, options);
    return logits[5];
  };
  assertEquals(penalty([1, 2, 3, 5, 1, 2, 3]), -2);
  assertEquals(penalty([8, 9, 2, 3, 5, 8, 9, 2, 3]), -1);
  assertEquals(penalty([8, 9, 3, 5, 8, 9, 3]), 0);
  assertEquals(penalty([9, 8, 3, 5, 9, 8, 3]), -2);
  options.drySequenceBreakers.push([5]);
  assertEquals(penalty([1, 2, 3, 5, 1, 2, 3]), 0, "a token that is a breaker may always be repeated");
});

Deno.test("DRY: the penalty stays finite however long the repetition", () => {
  const logits = new Float32Array(4);
  dry(logits, new Array<number>(3000).fill(1), {
    dryMultiplier: 1,
    dryBase: 3,
    dryAllowedLength: 2,
    dryWindow: 5000,
    drySequenceBreakers: [],
  });
  assert(logits[1] < -1e30 && Number.isFinite(logits[1]));
  assertEquals([logits[0], logits[2], logits[3]], [0, 0, 0]);
});
