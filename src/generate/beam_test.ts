import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { InvalidArgumentError } from "../errors.ts";
import { uniform } from "../sampling/random.ts";
import { type BeamOptions, beamSearch } from "./beam.ts";
import type { ForkingSequences, ScoredSequence } from "./forking.ts";

/** A model in which the logits depend on the whole text. */
interface Table {
  readonly vocabulary: number;
  readonly seed: number;
}

function logits({ vocabulary, seed }: Table, ids: readonly number[]): Float32Array {
  const place = ids.reduce((hash, id) => (Math.imul(hash, 31) + id + 1) >>> 0, 7);
  return Float32Array.from({ length: vocabulary }, (_, id) => 4 * uniform(seed, place, id));
}

function logprobs(table: Table, ids: readonly number[]): number[] {
  const row = logits(table, ids);
  const norm = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return [...row].map((logit) => logit - norm);
}

/** Keeps each sequence's text, and checks what it is asked for. */
function sequencesOf(table: Table): ForkingSequences & { steps: number } {
  let texts: number[][] = [];
  return {
    steps: 0,
    start() {
      texts = [[]];
      return Promise.resolve(logits(table, []));
    },
    step(branches) {
      this.steps++;
      for (const { parent } of branches) assert(parent >= 0 && parent < texts.length);
      texts = branches.map(({ parent, token }) => [...texts[parent], token]);
      return Promise.resolve(texts.map((text) => logits(table, text)));
    },
  };
}

/** The rules as transformers has them: every beam at every step, with -1e9 for what does not count. */
function masked(table: Table, options: BeamOptions): { ids: number[]; score: number }[] {
  const { beams, maxTokens, lengthPenalty: penalty = 1, earlyStopping = false } = options;
  const eos = new Set(options.eosIds);
  const keep = Math.max(2, 1 + eos.size) * beams;
  const NONE = -1e9;
  type Row = { ids: number[]; score: number; done: boolean };
  const top = <T extends { score: number }>(rows: T[], count: number): T[] =>
    rows.toSorted((a, b) => b.score - a.score).slice(0, count);
  let running: Row[] = Array.from(
    { length: beams },
    (_, i) => ({ ids: [], score: i === 0 ? 0 : NONE, done: false }),
  );
  let found: Row[] = Array.from({ length: beams }, () => ({ ids: [], score: NONE, done: false }));
  for (let length = 1;; length++) {
    const all = running.flatMap(({ ids, score }) =>
      logprobs(table, ids).map((value, id) => ({ ids: [...ids, id], score: score + value, done: false }))
    );
    const best = top(all, keep);
    const hits = best.map(({ ids }) => eos.has(ids[ids.length - 1]) || ids.length === maxTokens);
    running = top(best.map((row, i) => ({ ...row, score: row.score + (hits[i] ? NONE : 0) })), beams);
    const ended = best.map((row, i) => {
      const done = hits[i] && i < beams;
      return { ...row, score: row.score / length ** penalty + (done ? 0 : NONE), done };
    });
    found = top([...found, ...ended], beams);
    const reach = earlyStopping === "never" && penalty > 0 ? maxTokens : length;
    const hope = running[0].score / reach ** penalty;
    const worst = Math.min(...found.map(({ score }) => score));
    const improvable = found.some(({ done }) => hope > (done ? worst : NONE));
    const open = !(found.every(({ done }) => done) && earlyStopping === true);
    if (!(improvable && open && hits.includes(false))) return found.filter(({ done }) => done);
  }
}

const table = fc.record({ vocabulary: fc.integer({ min: 16, max: 24 }), seed: fc.nat() });
const options = fc.record({
  beams: fc.integer({ min: 1, max: 4 }),
  maxTokens: fc.integer({ min: 1, max: 7 }),
  eosIds: fc.uniqueArray(fc.nat({ max: 15 }), { maxLength: 3 }),
  lengthPenalty: fc.constantFrom(-1, 0, 0.5, 1, 2),
  earlyStopping: fc.constantFrom(true, false, "never" as const),
});

function found(beams: readonly ScoredSequence[]): { ids: readonly number[]; score: number }[] {
  return beams.map(({ ids, score }) => ({ ids, score: Math.round(score * 1e6) / 1e6 }));
}

Deno.test("beams are those of the rules written with masks, for every penalty and way to stop", async () => {
  await fc.assert(
    fc.asyncProperty(table, options, async (model, given) => {
      const beams = await beamSearch(sequencesOf(model), given);
      assertEquals(
        found(beams),
        masked(model, given).map(({ ids, score }) => ({ ids, score: Math.round(score * 1e6) / 1e6 })),
      );
    }),
    { numRuns: 300 },
  );
});

Deno.test("a score is the sum of log-probabilities over a power of the length, and beams are sorted by it", async () => {
  await fc.assert(fc.asyncProperty(table, options, async (model, given) => {
    const beams = await beamSearch(sequencesOf(model), given);
    assert(beams.length > 0 && beams.length <= given.beams);
    assertEquals(new Set(beams.map(({ ids }) => ids.join())).size, beams.length);
    for (const [i, { ids, score, logprob, finishReason }] of beams.entries()) {
      const sum = ids.reduce((total, id, at) => total + logprobs(model, ids.slice(0, at))[id], 0);
      assertAlmostEquals(logprob, sum, 1e-6);
      assertAlmostEquals(score, sum / ids.length ** given.lengthPenalty, 1e-6);
      assert(i === 0 || beams[i - 1].score >= score);
      const ends = given.eosIds.includes(ids[ids.length - 1]);
      assertEquals(finishReason, ends ? "stop" : "length");
      assert(ends || ids.length === given.maxTokens);
      assert(ids.slice(0, -1).every((id) => !given.eosIds.includes(id)));
    }
  }));
});

Deno.test("one beam that never ends is greedy", async () => {
  await fc.assert(fc.asyncProperty(table, fc.integer({ min: 1, max: 8 }), async (model, maxTokens) => {
    const [beam] = await beamSearch(sequencesOf(model), { beams: 1, maxTokens });
    const ids: number[] = [];
    while (ids.length < maxTokens) {
      const row = logits(model, ids);
      ids.push(row.indexOf(Math.max(...row)));
    }
    assertEquals(beam.ids, ids);
  }));
});

Deno.test("beams as many as there are texts find the best of all texts", async () => {
  const small = { vocabulary: 3, seed: 5 };
  const beams = await beamSearch(sequencesOf(small), { beams: 27, maxTokens: 3 });
  const all = Array.from({ length: 27 }, (_, n) => [Math.floor(n / 9), Math.floor(n / 3) % 3, n % 3])
    .map((ids) => ({ ids, sum: ids.reduce((sum, id, at) => sum + logprobs(small, ids.slice(0, at))[id], 0) }))
    .sort((a, b) => b.sum - a.sum);
  assertEquals(beams.map(({ ids }) => ids), all.map(({ ids }) => ids));
  assertAlmostEquals(beams.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0), 1, 1e-6);
});

Deno.test("looking longer never gives a worse best, and stopping early takes no more steps", async () => {
  await fc.assert(fc.asyncProperty(table, options, async (model, given) => {
    const run = async (earlyStopping: boolean | "never"): Promise<[number, number]> => {
      const sequences = sequencesOf(model);
      const [best] = await beamSearch(sequences, { ...given, lengthPenalty: 1, earlyStopping });
      return [best.score, sequences.steps];
    };
    const [early, usual, never] = [await run(true), await run(false), await run("never")];
    assert(early[0] <= usual[0] && usual[0] <= never[0]);
    assert(early[1] <= usual[1] && usual[1] <= never[1]);
  }));
});

Deno.test("an abort gives what there is by then", async () => {
  const abort = new AbortController();
  const sequences = sequencesOf({ vocabulary: 20, seed: 1 });
  const step = sequences.step;
  sequences.step = function (branches) {
    if (this.steps === 2) abort.abort();
    return step.call(this, branches);
  };
  const beams = await beamSearch(sequences, { beams: 3, maxTokens: 50, signal: abort.signal });
  assertEquals(beams.map(({ ids, finishReason }) => [ids.length, finishReason]), Array(3).fill([4, "abort"]));
  assertEquals(sequences.steps, 3);
  const none = sequencesOf({ vocabulary: 20, seed: 1 });
  const [empty] = await beamSearch(none, { beams: 3, maxTokens: 50, signal: AbortSignal.abort() });
  assertEquals([empty.ids, empty.score, none.steps], [[], 0, 0]);
});

Deno.test("counts that make no sense are refused", async () => {
  const sequences = sequencesOf({ vocabulary: 4, seed: 0 });
  await assertRejects(() => beamSearch(sequences, { beams: 0, maxTokens: 1 }), InvalidArgumentError, "beams");
  await assertRejects(
    () => beamSearch(sequences, { beams: 1, maxTokens: 0.5 }),
    InvalidArgumentError,
    "maxTokens",
  );
});
