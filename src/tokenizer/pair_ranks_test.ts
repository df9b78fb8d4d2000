import { assertEquals } from "@std/assert";
import { MergeRanks, ScoreRanks } from "./pair_ranks.ts";

// The library's spelling of a pair.
const key = (left: string, right: string) => JSON.stringify([left, right]);

Deno.test("merges are found by the library's keys, whatever is in them", () => {
  const pairs = [["a", "b"], ['"', '","'], ["\\", "n"], [",", "Ġ"], ["a b", "c"], ["a", "b c"], [
    "\ud83d",
    "\u0001",
  ]];
  const ranks = new MergeRanks("\0");
  for (const [left, right] of pairs) ranks.append(`${left}\0${right}`);
  pairs.forEach(([left, right], rank) => assertEquals(ranks.get(key(left, right)), rank));
  assertEquals(ranks.get(key("b", "a")), undefined);
});

Deno.test("scores rank the token that a pair makes; equal scores are equal", () => {
  const ids = new Map([["ab", 0], ["bc", 1], ["cd", 2], ["de", 3]]);
  const ranks = new ScoreRanks(ids, Float32Array.of(-2, -1, -2, -0.5));
  assertEquals(["ab", "bc", "cd", "de"].map(([left, right]) => ranks.get(key(left, right))), [2, 1, 2, 0]);
  assertEquals(ranks.get(key("e", "f")), undefined);
});
