import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { InvalidArgumentError } from "../errors.ts";
import { uniform } from "../sampling/random.ts";
import { Sampler } from "../sampling/sampler.ts";
import { bestOf } from "./best_of.ts";
import type { ForkingSequences } from "./forking.ts";

const VOCABULARY = 12;
const PROMPT = [3, 1, 4];
const OPTIONS = { count: 6, maxTokens: 20, temperature: 1, topK: 5, repetitionPenalty: 1.2, seed: 40 };

function logits(ids: readonly number[]): Float32Array {
  const place = ids.reduce((hash, id) => (Math.imul(hash, 31) + id + 1) >>> 0, 7);
  return Float32Array.from({ length: VOCABULARY }, (_, id) => 3 * uniform(9, place, id));
}

function sequences(): ForkingSequences & { sizes: number[] } {
  let texts: number[][] = [];
  return {
    sizes: [],
    start() {
      texts = [[...PROMPT]];
      return Promise.resolve(logits(texts[0]));
    },
    step(branches) {
      this.sizes.push(branches.length);
      texts = branches.map(({ parent, token }) => [...texts[parent], token]);
      return Promise.resolve(texts.map(logits));
    },
  };
}

/** One continuation, alone. */
function alone(seed: number, eos: number): number[] {
  const sampler = new Sampler({ ...OPTIONS, seed });
  const text = [...PROMPT];
  while (text.length < PROMPT.length + OPTIONS.maxTokens) {
    text.push(sampler.next(logits(text), text, text.length));
    if (text[text.length - 1] === eos) break;
  }
  return text.slice(PROMPT.length);
}

Deno.test("each continuation is what its seed gives alone, best mean log-probability first", async () => {
  const eos = 2;
  const found = await bestOf(sequences(), PROMPT, { ...OPTIONS, eosIds: [eos] });
  const expected = Array.from({ length: 6 }, (_, i) => alone(40 + i, eos).join());
  assertEquals(found.map(({ ids }) => ids.join()).sort(), expected.sort());
  for (const [i, { ids, score, logprob, finishReason }] of found.entries()) {
    const sum = ids.reduce((total, id, at) => {
      const row = logits([...PROMPT, ...ids.slice(0, at)]);
      return total + row[id] - Math.log(row.reduce((all, logit) => all + Math.exp(logit), 0));
    }, 0);
    assertAlmostEquals(logprob, sum, 1e-6);
    assertAlmostEquals(score, sum / ids.length, 1e-6);
    assert(i === 0 || found[i - 1].score >= score);
    assertEquals(finishReason, ids[ids.length - 1] === eos ? "stop" : "length");
  }
});

Deno.test("those that have ended take no part in later steps", async () => {
  const source = sequences();
  const found = await bestOf(source, PROMPT, { ...OPTIONS, eosIds: [2, 5] });
  const alive = (step: number): number => found.filter(({ ids }) => ids.length > step).length;
  assertEquals(source.sizes, source.sizes.map((_, i) => alive(i + 1)));
  assert(source.sizes[0] > source.sizes[source.sizes.length - 1]);
});

Deno.test("an abort gives what there is by then", async () => {
  const abort = new AbortController();
  const source = sequences();
  const step = source.step;
  source.step = function (branches) {
    if (this.sizes.length === 4) abort.abort();
    return step.call(this, branches);
  };
  const found = await bestOf(source, PROMPT, { ...OPTIONS, signal: abort.signal });
  assertEquals(found.map(({ ids, finishReason }) => [ids.length, finishReason]), Array(6).fill([5, "abort"]));
});

Deno.test("a count that makes no sense is refused", async () => {
  await assertRejects(
    () => bestOf(sequences(), PROMPT, { ...OPTIONS, count: 0 }),
    InvalidArgumentError,
    "count",
  );
});
