import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { MockRunner } from "../../tests/support/mock_runner.ts";
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { beamSearch } from "./beam.ts";
import { Engine } from "./engine.ts";
import { EngineSequences } from "./engine_sequences.ts";
import type { Branch } from "./forking.ts";
import { nextTurn } from "../next_task.ts";
import { TokenStream } from "./token_stream.ts";

const VOCABULARY = 97;

/** The next token depends on all before it. */
function next(tokens: readonly number[]): number {
  return tokens.reduce((sum, token, i) => (sum * 31 + token * (i + 1)) % VOCABULARY, 7);
}

function mock(options: Partial<ConstructorParameters<typeof MockRunner>[0]> = {}): MockRunner {
  return new MockRunner({ next, vocabSize: VOCABULARY, contextLength: 1024, ...options });
}

function prompt(length: number): number[] {
  return Array.from({ length }, (_, i) => (i * 7) % VOCABULARY);
}

/** The token that a row of the mock is for. */
function likeliest(row: Float32Array): number {
  return row.indexOf(Math.max(...row));
}

Deno.test("the sequences of a group are rows of one step and share full pages", async () => {
  const runner = mock({ pages: 32 });
  const engine = new Engine(runner, { maxQueue: 0 });
  const promptIds = prompt(70);
  {
    using sequences = new EngineSequences(engine, { promptIds });
    assertEquals(likeliest(await sequences.start()), next(promptIds));
    assertEquals([sequences.prefilled, engine.usage.heldPages], [70, 3]);
    const rows = await sequences.step([1, 2, 3, 4].map((token) => ({ parent: 0, token })));
    assertEquals(rows.map(likeliest), [1, 2, 3, 4].map((token) => next([...promptIds, token])));
    // Two full pages of all, and one of each.
    assertEquals([runner.steps.length, runner.steps[1].length, engine.usage.heldPages], [2, 4, 6]);
    await sequences.step([{ parent: 2, token: 5 }]);
    assertEquals(engine.usage.heldPages, 3);
  }
  assertEquals(runner.pool.free, 32);
});

Deno.test("forks beside streams, with hardly any pages, change nobody's tokens", async () => {
  const plans = fc.record({
    length: fc.integer({ min: 1, max: 80 }),
    pages: fc.integer({ min: 4, max: 14 }),
    streams: fc.nat(3),
    prefixes: fc.boolean(),
    steps: fc.array(
      fc.array(fc.record({ parent: fc.nat(7), token: fc.nat(VOCABULARY - 1) }), {
        minLength: 1,
        maxLength: 8,
      }),
      { maxLength: 30 },
    ),
  });
  await fc.assert(
    fc.asyncProperty(plans, async ({ length, pages, streams, prefixes, steps }) => {
      const runner = mock({ pages, contextLength: 128, compute: nextTurn });
      const engine = new Engine(runner, { maxQueue: 9, prefixPages: prefixes ? pages >> 1 : 0 });
      const sampler = { greedy: true, next: () => -1 };
      const reading = Array.from({ length: streams }, async (_, i) => {
        const promptIds = prompt(length + i);
        const [tokens, expected] = [[...promptIds], [...promptIds]];
        const request = { promptIds, maxTokens: 20, eosIds: new Set<number>(), sampler, logprobs: false };
        using stream = new TokenStream(engine, request);
        for (let token = await stream.next(); token; token = await stream.next()) tokens.push(token.id);
        for (let n = 0; n < 20; n++) expected.push(next(expected));
        assertEquals(tokens, expected);
      });
      {
        using sequences = new EngineSequences(engine, { promptIds: prompt(length) });
        let texts = [prompt(length)];
        assertEquals(likeliest(await sequences.start()), next(texts[0]));
        for (const step of steps) {
          const branches: Branch[] = step.map(({ parent, token }) => ({
            parent: parent % texts.length,
            token,
          }));
          texts = branches.map(({ parent, token }) => [...texts[parent], token]);
          assertEquals((await sequences.step(branches)).map(likeliest), texts.map(next));
        }
      }
      await Promise.all(reading);
      assertEquals([runner.pool.free, engine.usage.idle], [pages, 0]);
    }),
    { numRuns: 100 },
  );
});

Deno.test("pages that only those share who lose them are enough for another", async () => {
  const runner = mock({ pages: 3 });
  const engine = new Engine(runner, { maxQueue: 0 });
  const [short, long] = [prompt(32), prompt(64)];
  {
    using one = new EngineSequences(engine, { promptIds: short });
    using two = new EngineSequences(engine, { promptIds: long });
    await one.start();
    await two.start();
    const rows = await Promise.all([
      one.step([{ parent: 0, token: 1 }]),
      two.step([1, 2].map((token) => ({ parent: 0, token }))),
    ]);
    assertEquals(rows.flat().map(likeliest), [[...short, 1], [...long, 1], [...long, 2]].map(next));
  }
  assertEquals(runner.pool.free, 3);
});

Deno.test("an aborted search gives its pages back and what it had found", async () => {
  const runner = mock({ pages: 32, compute: nextTurn });
  const engine = new Engine(runner, { maxQueue: 0 });
  const controller = new AbortController();
  const { signal } = controller;
  using sequences = new EngineSequences(engine, { promptIds: prompt(40), signal });
  const search = beamSearch(sequences, { beams: 4, maxTokens: 1000, signal });
  while (runner.steps.length < 5) await nextTurn();
  controller.abort();
  assertEquals([runner.pool.free, engine.usage.busy + engine.usage.idle], [32, 0]);
  const found = await search;
  assertEquals(found.map(({ finishReason }) => finishReason), Array(4).fill("abort"));
  assert(found.every(({ ids }) => ids.length >= 3));
  await assertRejects(() => sequences.step([{ parent: 0, token: 1 }]), DOMException);
});

Deno.test("a group ends with the engine, and where the context is full", async () => {
  const runner = mock({ pages: 32, contextLength: 41 });
  const engine = new Engine(runner, { maxQueue: 0 });
  using full = new EngineSequences(engine, { promptIds: prompt(40) });
  await assertRejects(() => beamSearch(full, { beams: 2, maxTokens: 9 }), SequenceLengthExceededError);
  using idle = new EngineSequences(engine, { promptIds: prompt(4) });
  await idle.start();
  await engine.close();
  await assertRejects(() => idle.step([0, 1].map((token) => ({ parent: 0, token }))), InvalidArgumentError);
  full[Symbol.dispose]();
  assertEquals(runner.pool.free, 32);
});
