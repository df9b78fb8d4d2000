import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { PAGE_SIZE } from "../nn/decoder.ts";
import { pagesFor } from "./pages.ts";
import { type Candidate, planStep, type StepPlan } from "./policy.ts";
import type { StepCapacity, Want } from "./task.ts";

const CAPACITY: StepCapacity = { rows: 256, mixedRows: 64, sequences: 8, outputs: 64 };

/** A sequence that is played: a prompt, and so many tokens to generate. */
class Played implements Candidate {
  cached = 0;
  pending: number;
  served = 0;
  generated = 0;
  steps = 0;
  wants: Want = "now";

  constructor(readonly arrival: number, prompt: number, readonly length: number) {
    this.pending = prompt;
  }

  get silent(): number {
    return this.pending - 1;
  }
  get pages(): number {
    return pagesFor(this.cached);
  }
  get solePages(): number {
    return this.pages;
  }
  get done(): boolean {
    return this.generated === this.length;
  }
}

/** Does what a plan says, as the engine would. */
function play(plan: StepPlan<Played>, step: number): void {
  for (const victim of plan.preempted) {
    victim.pending += victim.cached;
    victim.cached = 0;
  }
  for (const { candidate, tokens } of plan.entries) {
    candidate.cached += tokens;
    candidate.pending -= tokens;
    candidate.served = step;
    candidate.steps++;
    if (candidate.pending > 0) continue;
    candidate.generated++;
    candidate.pending = 1;
    if (candidate.done) candidate.cached = 0;
  }
}

function held(sequences: readonly Played[]): number {
  return sequences.reduce((sum, { pages }) => sum + pages, 0);
}

const sequences = fc.array(
  fc.record({
    at: fc.nat(60),
    prompt: fc.integer({ min: 1, max: 300 }),
    length: fc.integer({ min: 1, max: 70 }),
  }),
  { minLength: 1, maxLength: 24 },
);

Deno.test("no plan is more than a step or the cache holds, and everyone gets to the end", () => {
  fc.assert(fc.property(sequences, fc.integer({ min: 12, max: 60 }), (wanted, pages) => {
    const all = wanted.toSorted((a, b) => a.at - b.at).map(({ prompt, length }, i) =>
      new Played(i, prompt, length)
    );
    const starts = wanted.map(({ at }) => at).sort((a, b) => a - b);
    for (let step = 1; all.some(({ done }) => !done); step++) {
      assert(step < 20_000, "somebody starves");
      const live = all.filter(({ done }, i) => !done && starts[i] < step);
      if (live.length === 0) continue;
      const plan = planStep(live, CAPACITY, pages - held(live));
      assertEquals(plan.exhausted, []);
      const rows = plan.entries.reduce((sum, { tokens }) => sum + tokens, 0);
      assert(rows > 0 && rows <= CAPACITY.rows && plan.entries.length <= CAPACITY.sequences);
      assert(plan.entries.every(({ tokens, candidate }) => tokens > 0 && tokens <= candidate.pending));
      const decoding = plan.entries.filter(({ candidate }) =>
        candidate.generated > 0 && candidate.pending === 1
      );
      if (decoding.length > 0) {
        assert(
          rows - decoding.length <= CAPACITY.mixedRows + CAPACITY.sequences,
          "a step is too long for the streams",
        );
      }
      play(plan, step);
      assert(held(all) <= pages, "more pages are used than there are");
    }
  }));
});

Deno.test("the oldest sequence is in every step, whoever else comes", () => {
  fc.assert(fc.property(sequences, (wanted) => {
    const oldest = new Played(0, 100, 200);
    const others = wanted.map(({ prompt, length }, i) => new Played(i + 1, prompt, length));
    for (let step = 1; !oldest.done; step++) {
      const live = [oldest, ...others.filter(({ done }, i) => !done && wanted[i].at < step)];
      play(planStep(live, CAPACITY, 16 - held(live)), step);
      assertEquals(oldest.served, step);
    }
  }));
});

Deno.test("streams get a token in every step of a long prefill, and the steps are short", () => {
  const streams = [0, 1, 2].map((arrival) => new Played(arrival, 1, 1000));
  play(planStep(streams, CAPACITY, 1000), 1);
  const long = new Played(3, 4000, 1);
  for (let step = 2; long.generated === 0; step++) {
    const plan = planStep([...streams, long], CAPACITY, 1000 - held([...streams, long]));
    assertEquals(plan.entries.map(({ tokens }) => tokens), [
      1,
      1,
      1,
      Math.min(CAPACITY.mixedRows, long.pending),
    ]);
    play(plan, step);
  }
});

Deno.test("a short prompt does not wait for a long one", () => {
  const [long, short] = [new Played(0, 3000, 1), new Played(1, 40, 1)];
  const plan = planStep([long, short], CAPACITY, 1000);
  assertEquals(plan.entries, [{ candidate: short, tokens: 40 }, { candidate: long, tokens: 216 }]);
});

Deno.test("nobody waits, nothing is computed; who is late rides along", () => {
  const [late, idle, waiting] = [new Played(0, 1, 9), new Played(1, 1, 9), new Played(2, 1, 9)];
  play(planStep([late, idle, waiting], CAPACITY, 9), 1);
  [late.wants, idle.wants, waiting.wants] = ["ahead", "no", "ahead"];
  assertEquals(planStep([late, idle, waiting], CAPACITY, 9).entries, []);
  waiting.wants = "now";
  const { entries } = planStep([late, idle, waiting], CAPACITY, 9);
  assertEquals(entries.map(({ candidate }) => candidate), [late, waiting]);
});

Deno.test("pages are taken from who does not read, then from the youngest, never from an older one", () => {
  const make = (): Played[] => {
    const all = [0, 1, 2, 3].map((arrival) => new Played(arrival, PAGE_SIZE, 9));
    play(planStep(all, CAPACITY, 8), 1);
    return all;
  };
  const [first, second, third, fourth] = make();
  second.wants = "no";
  assertEquals(planStep([first, second, third, fourth], CAPACITY, 0).preempted, [second, fourth]);
  const all = make();
  const { preempted, entries } = planStep(all, CAPACITY, 0);
  assertEquals(preempted, [all[3], all[2]]);
  assertEquals(entries.map(({ candidate }) => candidate), [all[0], all[1]]);
});

Deno.test("who is alone and finds no page can go no further", () => {
  const alone = new Played(0, PAGE_SIZE, 9);
  play(planStep([alone], CAPACITY, 1), 1);
  assertEquals(planStep([alone], CAPACITY, 0).exhausted, [alone]);
});

Deno.test("outputs of every row share what the step has", () => {
  const scored = Object.defineProperty(new Played(0, 300, 1), "silent", { value: 0 });
  const stream = new Played(1, 1, 9);
  const { entries } = planStep([scored, stream], CAPACITY, 1000);
  assertEquals(entries.map(({ tokens }) => tokens), [1, CAPACITY.outputs - 1]);
});
