import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { MockRunner } from "../../tests/support/mock_runner.ts";
import { VisibleTokens } from "../../tests/support/visible_tokens.ts";
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";
import type { ContextOptions } from "./context.ts";
import { Engine } from "./engine.ts";
import { checkContextOptions } from "./make_room.ts";
import { nextTurn } from "../next_task.ts";
import { type TokenRequest, TokenStream } from "./token_stream.ts";

const VOCABULARY = 97;

/** The next token depends on all before it that are still there. */
function next(tokens: readonly number[]): number {
  return tokens.reduce((sum, token, i) => (sum * 31 + token * (i + 1)) % VOCABULARY, 7);
}

function prompt(seed: number, length: number): number[] {
  return Array.from({ length }, (_, i) => (seed * 13 + i * 7) % VOCABULARY);
}

/** What the model says when nobody else is there. */
function alone(
  promptIds: readonly number[],
  maxTokens: number,
  max: number,
  context: ContextOptions,
): number[] {
  const visible = new VisibleTokens(promptIds, max, context);
  return Array.from({ length: maxTokens }, () => {
    const token = next(visible.tokens);
    visible.push(token);
    return token;
  });
}

function request(promptIds: readonly number[], maxTokens: number, context: ContextOptions): TokenRequest {
  const sampler = { greedy: true, next: () => -1 };
  return { promptIds, maxTokens, eosIds: new Set(), sampler, logprobs: false, context };
}

async function read(stream: TokenStream, pause = 0): Promise<number[]> {
  const ids: number[] = [];
  for (;;) {
    for (let wait = 0; wait < pause; wait++) await nextTurn();
    const token = await stream.next();
    if (token === undefined) return ids;
    ids.push(token.id);
  }
}

const contexts = fc.record({
  contextFull: fc.constantFrom("slide" as const, "shift" as const),
  keep: fc.constantFrom(0, 4, 33),
});

Deno.test("joining, waiting and being pushed out change no text that outlives its context, and no page is lost", async () => {
  const plans = fc.array(
    fc.record({
      start: fc.nat(60),
      length: fc.integer({ min: 1, max: 130 }),
      maxTokens: fc.integer({ min: 1, max: 500 }),
      pause: fc.nat(1),
      context: contexts,
    }),
    { minLength: 1, maxLength: 6 },
  );
  let [pushedOut, copied] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      plans,
      fc.integer({ min: 130, max: 170 }),
      fc.integer({ min: 7, max: 20 }),
      async (all, max, pages) => {
        const runner = new MockRunner({ next, vocabSize: VOCABULARY, contextLength: max, pages });
        const engine = new Engine(runner, { maxQueue: 99, prefixPages: pages >> 1 });
        await Promise.all(all.map(async ({ start, length, maxTokens, pause, context }, i) => {
          for (let wait = 0; wait < start; wait++) await nextTurn();
          using stream = new TokenStream(engine, request(prompt(i % 2, length), maxTokens, context));
          assertEquals(await read(stream, pause), alone(prompt(i % 2, length), maxTokens, max, context));
          if (stream.computed > length + maxTokens) pushedOut++;
        }));
        assertEquals(runner.pool.free, pages);
        copied += runner.context.copied;
      },
    ),
    { numRuns: 40, seed: 6 },
  );
  assert(pushedOut > 0, "nobody was pushed out");
  assert(copied > 0, "nothing was copied");
});

Deno.test("pages that were turned are not offered to others, those before them are", async () => {
  const runner = new MockRunner({ next, vocabSize: VOCABULARY, contextLength: 128, pages: 16 });
  const engine = new Engine(runner, { maxQueue: 0, prefixPages: 8 });
  const ids = prompt(1, 100);
  using long = new TokenStream(engine, request(ids, 100, { contextFull: "slide" }));
  const said = await read(long);
  assertEquals(engine.usage.keptPages, 1);
  using again = new TokenStream(engine, request([...ids, ...said].slice(0, 128), 1, {}));
  await read(again);
  assertEquals(again.reused, PAGE_SIZE);
});

Deno.test("pages of others and of the prefix cache stay as they are", async () => {
  const runner = new MockRunner({ next, vocabSize: VOCABULARY, contextLength: 128, pages: 16 });
  const engine = new Engine(runner, { maxQueue: 0, prefixPages: 8 });
  const ids = prompt(2, 100);
  using first = new TokenStream(engine, request(ids, 1, {}));
  await read(first);
  const context = { contextFull: "slide" } as const;
  using long = new TokenStream(engine, request(ids, 300, context));
  assertEquals(await read(long), alone(ids, 300, 128, context));
  assert(runner.context.copied > 0);
  using again = new TokenStream(engine, request(ids, 20, {}));
  assertEquals(await read(again), alone(ids, 20, 128, {}));
  assertEquals(again.reused, 3 * PAGE_SIZE);
  assertEquals(runner.pool.free, 16);
});

Deno.test("where there is no room for copies, the text begins anew by itself and stays the same", async () => {
  const runner = new MockRunner({ next, vocabSize: VOCABULARY, contextLength: 160, pages: 5 });
  const engine = new Engine(runner, { maxQueue: 0, prefixPages: 4 });
  const ids = prompt(3, 130);
  using first = new TokenStream(engine, request(ids, 1, {}));
  await read(first);
  const context = { contextFull: "slide" } as const;
  using long = new TokenStream(engine, request(ids, 200, context));
  assertEquals(await read(long), alone(ids, 200, 160, context));
  assertEquals([runner.context.refused, runner.context.copied], [1, 0]);
  assertEquals(runner.pool.free, 5);
});

Deno.test("a full context is an error where nothing else was asked for", async () => {
  const runner = new MockRunner({ next, vocabSize: VOCABULARY, contextLength: 100 });
  const engine = new Engine(runner, { maxQueue: 0 });
  using stream = new TokenStream(engine, request(prompt(1, 90), 50, {}));
  const error = await assertRejects(() => read(stream), SequenceLengthExceededError);
  assertEquals([error.max, error.actual], [100, 101]);
  assertEquals(runner.pool.free, 4);
});

Deno.test("a runner that cannot make room refuses to be asked", () => {
  const runner = new MockRunner({ next, vocabSize: VOCABULARY, contextLength: 128 });
  checkContextOptions(runner, { contextFull: "shift" });
  const without = { ...runner, pool: runner.pool, context: undefined, prepare: () => undefined };
  const bare = { ...without, run: () => Promise.resolve([]), fork: runner.fork.bind(runner) };
  checkContextOptions(bare, {});
  assertThrows(() => checkContextOptions(bare, { contextFull: "shift" }), InvalidArgumentError, "learned");
  assertThrows(() => checkContextOptions(runner, { contextFull: "slide", keep: 97 }), InvalidArgumentError);
});
