import { assertEquals } from "@std/assert";
import { fails, judge } from "./regression.ts";
import type { Figures } from "./settings.ts";

const rate = (...values: number[]): Figures => ({ unit: "tok/s", values });
const time = (...values: number[]): Figures => ({ unit: "ms", values });

function kindOf(before: Figures | undefined, now: Figures | undefined): string {
  const [verdict] = judge(before ? { test: before } : {}, now ? { test: now } : {});
  return verdict.kind;
}

Deno.test("a ratio above 1 is better, in tokens a second as in milliseconds", () => {
  assertEquals(judge({ test: rate(100) }, { test: rate(200) })[0].ratio, 2);
  assertEquals(judge({ test: time(100) }, { test: time(50) })[0].ratio, 2);
});

Deno.test("a drop counts beyond the floor, and beyond the noise of both runs", () => {
  assertEquals(kindOf(rate(100, 100, 100), rate(97, 97, 97)), "same");
  assertEquals(kindOf(rate(100, 100, 100), rate(95, 95, 95)), "regression");
  assertEquals(kindOf(rate(90, 100, 110), rate(86, 95, 105)), "same");
  assertEquals(kindOf(time(100, 100), time(95, 95)), "same");
  assertEquals(kindOf(time(100, 100), time(120, 120)), "regression");
});

Deno.test("one disturbed repeat changes nothing", () => {
  assertEquals(kindOf(rate(100, 101, 99, 100, 100), rate(100, 99, 30, 101, 100)), "same");
  assertEquals(kindOf(rate(100, 101, 99, 100, 100), rate(90, 91, 30, 89, 90)), "regression");
});

Deno.test("no noise excuses half the speed", () => {
  assertEquals(kindOf(rate(10, 100, 300), rate(4, 40, 120)), "regression");
});

Deno.test("a figure that is gone fails, a new one does not", () => {
  const verdicts = judge({ old: rate(1) }, { fresh: rate(1) });
  assertEquals(verdicts.map(({ test, kind }) => [test, kind]), [["fresh", "new"], ["old", "lost"]]);
  assertEquals(verdicts.map(fails), [false, true]);
});
