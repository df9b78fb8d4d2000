import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { MockRunner } from "../../tests/support/mock_runner.ts";
import { OutOfBoundsError, QueueFullError, SequenceLengthExceededError } from "../errors.ts";
import { Engine } from "./engine.ts";
import { nextTurn } from "../next_task.ts";
import { computeLogits } from "./scoring.ts";
import { MAX_READY, type TokenRequest, TokenStream } from "./token_stream.ts";

const VOCABULARY = 97;

/** The next token depends on all before it. */
function next(tokens: readonly number[]): number {
  return tokens.reduce((sum, token, i) => (sum * 31 + token * (i + 1)) % VOCABULARY, 7);
}

function mock(options: Partial<ConstructorParameters<typeof MockRunner>[0]> = {}): MockRunner {
  return new MockRunner({ next, vocabSize: VOCABULARY, contextLength: 1024, ...options });
}

function request(
  promptIds: readonly number[],
  maxTokens: number,
  rest: Partial<TokenRequest> = {},
): TokenRequest {
  const sampler = { greedy: true, next: () => -1 };
  return { promptIds, maxTokens, eosIds: new Set(), sampler, logprobs: false, ...rest };
}

/** What the model says when nobody else is there. */
function alone(promptIds: readonly number[], maxTokens: number): number[] {
  const tokens = [...promptIds];
  for (let i = 0; i < maxTokens; i++) tokens.push(next(tokens));
  return tokens.slice(promptIds.length);
}

function prompt(seed: number, length: number): number[] {
  return Array.from({ length }, (_, i) => (seed * 13 + i * 7) % VOCABULARY);
}

async function read(stream: TokenStream, count = Infinity): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < count) {
    const token = await stream.next();
    if (token === undefined) break;
    ids.push(token.id);
  }
  return ids;
}

Deno.test("what is asked for at once is computed at once", async () => {
  const runner = mock({ pages: 64 });
  const engine = new Engine(runner, { maxQueue: 0 });
  const streams = [5, 1, 9, 3].map((length, i) => new TokenStream(engine, request(prompt(i, length), 6)));
  const texts = await Promise.all(streams.map((stream) => read(stream)));
  assertEquals(texts, [5, 1, 9, 3].map((length, i) => alone(prompt(i, length), 6)));
  assertEquals(runner.steps.map((step) => step.length), [4, 4, 4, 4, 4, 4]);
  assertEquals(runner.pool.free, 64);
});

Deno.test("joining, leaving, waiting and being pushed out change nobody's text", async () => {
  const plans = fc.array(
    fc.record({
      start: fc.nat(40),
      length: fc.integer({ min: 1, max: 150 }),
      maxTokens: fc.integer({ min: 0, max: 50 }),
      leaveAfter: fc.option(fc.nat(40), { nil: undefined }),
      abort: fc.boolean(),
      pause: fc.nat(2),
    }),
    { minLength: 1, maxLength: 14 },
  );
  await fc.assert(
    fc.asyncProperty(plans, fc.integer({ min: 7, max: 24 }), async (all, pages) => {
      const runner = mock({ pages, contextLength: 200, compute: nextTurn });
      const engine = new Engine(runner, { maxQueue: 99, prefixPages: pages >> 1 });
      await Promise.all(all.map(async ({ start, length, maxTokens, leaveAfter, abort, pause }, i) => {
        for (let wait = 0; wait < start; wait++) await nextTurn();
        const controller = new AbortController();
        using stream = new TokenStream(
          engine,
          request(prompt(i % 3, length), maxTokens, { signal: controller.signal }),
        );
        const expected = alone(prompt(i % 3, length), maxTokens);
        const ids: number[] = [];
        for (;;) {
          if (ids.length === leaveAfter) {
            if (!abort) return;
            controller.abort();
          }
          for (let wait = 0; wait < pause; wait++) await nextTurn();
          const token = await stream.next();
          if (!token) break;
          ids.push(token.id);
        }
        const aborted = leaveAfter !== undefined && ids.length === leaveAfter && abort;
        assertEquals(ids, aborted ? expected.slice(0, leaveAfter) : expected);
      }));
      assertEquals(runner.pool.free, pages);
    }),
    { numRuns: 60 },
  );
});

Deno.test("a reader who stops holds a few tokens, and the others go on", async () => {
  const runner = mock({ pages: 64 });
  const engine = new Engine(runner, { maxQueue: 0 });
  using idle = new TokenStream(engine, request(prompt(1, 4), 100));
  const [first] = await read(idle, 1);
  const busy = new TokenStream(engine, request(prompt(2, 4), 50));
  assertEquals(await read(busy), alone(prompt(2, 4), 50));
  const computed = runner.steps.flat().filter(({ start, outputs }) => outputs > 0 && start >= 4).length;
  assertEquals(computed, 49 + MAX_READY);
  assertEquals([first, ...await read(idle)], alone(prompt(1, 4), 100));
});

Deno.test("a reader who stops gives its pages up where others need them, and can go on later", async () => {
  const runner = mock({ pages: 8, contextLength: 256 });
  const engine = new Engine(runner, { maxQueue: 0 });
  using idle = new TokenStream(engine, request(prompt(1, 100), 80));
  const start = await read(idle, 2);
  assertEquals(await read(new TokenStream(engine, request(prompt(2, 200), 50))), alone(prompt(2, 200), 50));
  assertEquals([...start, ...await read(idle)], alone(prompt(1, 100), 80));
  assertEquals(runner.pool.free, 8);
});

Deno.test("streams miss no step while a long prompt is processed, and its steps are short", async () => {
  const runner = mock({ pages: 64, compute: nextTurn });
  const engine = new Engine(runner, { maxQueue: 0 });
  const stream = new TokenStream(engine, request(prompt(1, 4), 400));
  // It decodes from here on.
  await read(stream, 1);
  const reading = read(stream);
  const before = runner.steps.length;
  await read(new TokenStream(engine, request(prompt(2, 900), 1)));
  await reading;
  const steps = runner.steps.slice(before);
  const prefill = steps.filter((step) => step.some(({ tokens }) => tokens > 1));
  assert(prefill.length >= 14, `${prefill.length} steps`);
  for (const step of prefill) {
    assert(step.some(({ tokens, outputs }) => tokens === 1 && outputs === 1), "a stream missed a step");
    assert(step.every(({ tokens }) => tokens <= runner.capacity.mixedRows));
  }
});

Deno.test("an ended stream has given its pages back before the next step", async () => {
  const runner = mock({ pages: 64, compute: nextTurn });
  const engine = new Engine(runner, { maxQueue: 0 });
  const controller = new AbortController();
  const aborted = new TokenStream(engine, request(prompt(1, 300), 50, { signal: controller.signal }));
  const other = new TokenStream(engine, request(prompt(2, 4), 3));
  const reading = [read(aborted), read(other)];
  await nextTurn();
  await nextTurn();
  assert(runner.pool.free < 60);
  controller.abort();
  assertEquals(runner.pool.free, 63);
  assertEquals(await Promise.all(reading), [[], alone(prompt(2, 4), 3)]);
  assertEquals(aborted.end, "abort");
});

Deno.test("what lies ready is not given out after an abort", async () => {
  const engine = new Engine(mock({ pages: 64 }), { maxQueue: 0 });
  const controller = new AbortController();
  const late = new TokenStream(engine, request(prompt(1, 4), 4, { signal: controller.signal }));
  await read(late, 1);
  // The late one comes to its end meanwhile, and nobody has read it.
  await read(new TokenStream(engine, request(prompt(2, 4), 9)));
  assertEquals(late.end, "length");
  controller.abort();
  assertEquals([await read(late), late.end], [[], "abort"]);
});

Deno.test("a full queue, a wrong token and a long prompt are refused by name", async () => {
  const engine = new Engine(mock({ capacity: { sequences: 2 } }), { maxQueue: 1 });
  const streams = [1, 2, 3].map((seed) => new TokenStream(engine, request(prompt(seed, 4), 5)));
  const reading = Promise.all(streams.map((stream) => read(stream)));
  const error = assertThrows(() => new TokenStream(engine, request([1], 5)), QueueFullError);
  assertEquals(error.max, 3);
  assertEquals(await reading, [1, 2, 3].map((seed) => alone(prompt(seed, 4), 5)));
  assertThrows(() => new TokenStream(engine, request([VOCABULARY], 5)), OutOfBoundsError, "vocabulary");
  assertThrows(() => new TokenStream(engine, request(prompt(1, 1025), 5)), SequenceLengthExceededError);
});

Deno.test("a step that fails ends those who were in it, and nobody else", async () => {
  let failing = false;
  const compute = (): void => {
    if (failing) throw new Error("the device is gone");
  };
  const runner = mock({ pages: 64, compute });
  const engine = new Engine(runner, { maxQueue: 0 });
  using resting = new TokenStream(engine, request(prompt(1, 4), 50));
  const start = await read(resting, 1);
  // It has read ahead as far as it may when the others fail.
  await read(new TokenStream(engine, request(prompt(3, 4), 9)));
  failing = true;
  const failed = new TokenStream(engine, request(prompt(2, 4), 5));
  await assertRejects(() => read(failed), Error, "the device is gone");
  failing = false;
  assertEquals([...start, ...await read(resting)], alone(prompt(1, 4), 50));
  assertEquals(runner.pool.free, 64);
});

Deno.test("a choice that fails ends its own stream only", async () => {
  const sampler = {
    greedy: false,
    next: () => {
      throw new RangeError("no token is left");
    },
  };
  const engine = new Engine(mock({ pages: 64 }), { maxQueue: 0 });
  const broken = read(new TokenStream(engine, request(prompt(1, 4), 5, { sampler })));
  const sound = read(new TokenStream(engine, request(prompt(2, 4), 5)));
  await assertRejects(() => broken, RangeError, "no token is left");
  assertEquals(await sound, alone(prompt(2, 4), 5));
});

Deno.test("closing ends all streams with an error and waits for the step", async () => {
  let computing = false;
  const compute = async (): Promise<void> => {
    computing = true;
    await nextTurn();
    computing = false;
  };
  const engine = new Engine(mock({ compute }), { maxQueue: 0 });
  const reading = read(new TokenStream(engine, request(prompt(1, 4), 500)));
  const failed = assertRejects(() => reading, Error, "closed");
  await nextTurn();
  await nextTurn();
  await engine.close();
  assert(!computing);
  await failed;
  assertThrows(() => new TokenStream(engine, request([1], 5)), Error, "closed");
});

Deno.test("logits of every row are shown once and in order, in a batch and where pages are short", async () => {
  const runner = mock({ pages: 12, contextLength: 320, compute: nextTurn });
  const engine = new Engine(runner, { maxQueue: 0 });
  const tokens = prompt(5, 300);
  const likeliest: number[] = [];
  const stream = read(new TokenStream(engine, request(prompt(1, 40), 60)));
  await nextTurn();
  await computeLogits(engine, {
    tokens,
    rows: "every",
    look(row, at) {
      assertEquals(at, likeliest.length);
      likeliest.push(row.indexOf(Math.max(...row)));
    },
  });
  assertEquals(likeliest, tokens.map((_, i) => next(tokens.slice(0, i + 1))));
  assertEquals(await stream, alone(prompt(1, 40), 60));
  assertEquals(runner.pool.free, 12);
});

Deno.test("a prompt that was there before is not computed again, also beside others", async () => {
  const runner = mock({ pages: 64 });
  const engine = new Engine(runner, { maxQueue: 0, prefixPages: 32 });
  const first = new TokenStream(engine, request(prompt(1, 300), 5));
  assertEquals(await read(first), alone(prompt(1, 300), 5));
  assertEquals([first.reused, first.prefilled], [0, 300]);
  const again = new TokenStream(engine, request([...prompt(1, 300), 7], 5));
  const other = new TokenStream(engine, request(prompt(2, 90), 5));
  assertEquals(await Promise.all([read(again), read(other)]), [
    alone([...prompt(1, 300), 7], 5),
    alone(prompt(2, 90), 5),
  ]);
  assertEquals([again.reused, again.prefilled, other.reused], [288, 13, 0]);
  assertEquals(engine.usage, { busy: 0, idle: 0, pages: 64, heldPages: 0, keptPages: 11 });
});

Deno.test("who wakes the engine just as it comes to rest is served", async () => {
  const engine = new Engine(mock({ pages: 8 }), { maxQueue: 0 });
  let rows = 0;
  const look = (): number => rows++;
  const later = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) await undefined;
    await computeLogits(engine, { tokens: prompt(turns, 3), rows: "last", look });
  };
  for (let turns = 0; turns < 40; turns++) {
    // From within the step, and by whoever has waited for it.
    let second: Promise<void> | undefined;
    await computeLogits(engine, {
      tokens: prompt(turns, 3),
      rows: "last",
      look: () => second = later(turns),
    });
    await second;
    await later(turns);
  }
  assertEquals(rows, 80);
});
