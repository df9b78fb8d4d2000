import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";
import { NaiveTokenizer } from "../tokenizer/naive.ts";
import { MockRunner } from "../../tests/support/mock_runner.ts";
import { Engine } from "./engine.ts";
import { type Chunk, type GenerateOptions, Generation } from "./generation.ts";

const tokenizer = new NaiveTokenizer({ eos: true });
const [EOS] = tokenizer.eosIds;

/** A model that says a fixed text after any prompt, and then ends it. */
function saysIds(script: readonly number[], contextLength = 4 * PAGE_SIZE): MockRunner {
  let said = 0;
  return new MockRunner({
    next: () => script[said++] ?? EOS,
    vocabSize: tokenizer.vocabSize,
    contextLength,
  });
}

function says(text: string, contextLength?: number): MockRunner {
  return saysIds(tokenizer.encode(text), contextLength);
}

function generation(
  runner: MockRunner,
  options: GenerateOptions = {},
  prompt: string | readonly number[] = "Hi",
): Generation {
  const source = {
    engine: new Engine(runner, { maxQueue: 0 }),
    tokenizer: () => Promise.resolve(tokenizer),
    eosIds: () => tokenizer.eosIds,
  };
  return new Generation(source, prompt, options);
}

/** Tokens of each step of a lone sequence. */
function rows({ steps }: MockRunner): number[] {
  return steps.map(([{ tokens }]) => tokens);
}

async function chunks(source: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const all: Chunk[] = [];
  for await (const chunk of source) all.push(chunk);
  return all;
}

Deno.test("tokens come one by one, and the stats say what happened", async () => {
  const run = generation(says("you"));
  assertEquals(await chunks(run), [..."you"].map((text) => ({ text, id: text.charCodeAt(0) })));
  const stats = await run.stats();
  assertEquals(stats.promptIds, tokenizer.encode("Hi"));
  assertEquals(stats.ids, tokenizer.encode("you"));
  assertEquals([stats.finishReason, stats.prefillTokens, stats.decodeTokens], ["stop", 2, 2]);
  assertEquals(await run.text(), "you");
});

Deno.test("text and stats may be asked for at once, and a failure is told to all who ask", async () => {
  const run = generation(says("you"));
  const [text, { ids }] = await Promise.all([run.text(), run.stats()]);
  assertEquals([text, ids.length], ["you", 3]);
  const long = generation(says("you", PAGE_SIZE), {}, new Array(PAGE_SIZE + 1).fill(1));
  const asked = [long.text(), long.stats(), long.text()];
  for (const answer of asked) await assertRejects(() => answer, SequenceLengthExceededError);
  await assertRejects(() => long.text(), SequenceLengthExceededError);
});

Deno.test("an encoder reads nothing for a generation that is aborted before it begins", async () => {
  const source = {
    engine: new Engine(says("you"), { maxQueue: 0 }),
    encoder: { read: () => Promise.reject(new Error("read")), startIds: [1] },
    tokenizer: () => Promise.resolve(tokenizer),
    eosIds: () => tokenizer.eosIds,
  };
  const run = new Generation(source, "Hi", { signal: AbortSignal.abort() });
  const { finishReason, prefillTokens } = await run.stats();
  assertEquals([finishReason, prefillTokens], ["abort", 0]);
});

Deno.test("text has whole characters only", async () => {
  const parts = (await chunks(generation(says("aé→🙂")))).map(({ text }) => text);
  assertEquals(parts, ["a", "", "é", "", "", "→", "", "", "", "🙂"]);
});

Deno.test("a character that the token limit cuts becomes U+FFFD", async () => {
  assertEquals(await generation(says("a🙂"), { maxTokens: 3 }).text(), "a\uFFFD");
});

Deno.test("the end token is not part of the result, and ignoreEos goes on after it", async () => {
  const script = [97, EOS, 98];
  const ended = generation(saysIds(script));
  assertEquals(await ended.text(), "a");
  assertEquals((await ended.stats()).ids, [97]);
  const went = generation(saysIds(script), { ignoreEos: true, maxTokens: 3 });
  assertEquals(await went.text(), "ab");
  assertEquals((await went.stats()).ids, script);
  assertEquals((await went.stats()).finishReason, "length");
});

Deno.test("a stop string ends the text before it, also across tokens", async () => {
  const run = generation(says("one two three"), { stop: [" th", "xyz"] });
  assertEquals(await run.text(), "one two");
  assertEquals((await run.stats()).finishReason, "stop");
});

Deno.test("what looked like a stop string comes out at the end", async () => {
  assertEquals(await generation(says("one tw"), { stop: "two" }).text(), "one tw");
  assertEquals(await generation(says("one two"), { stop: "two", maxTokens: 6 }).text(), "one tw");
});

Deno.test("maxTokens 0 processes the prompt and says nothing", async () => {
  const run = generation(says("you"), { maxTokens: 0 });
  assertEquals(await chunks(run), []);
  const { finishReason, prefillTokens, ids } = await run.stats();
  assertEquals([finishReason, prefillTokens, ids.length], ["length", 2, 0]);
});

Deno.test("a long prompt is cut into chunks", async () => {
  const decoder = says("x", 1024);
  const { capacity } = decoder;
  const prompt = Array.from({ length: capacity.rows + 10 }, () => 65);
  assertEquals(await generation(decoder, { maxTokens: 1 }, prompt).text(), "x");
  assertEquals(rows(decoder), [capacity.rows, 10]);
});

Deno.test("prompts that cannot be are typed errors", async () => {
  await assertRejects(() => generation(says("x"), {}, []).text(), InvalidArgumentError, "empty");
  const long = Array.from({ length: 9 }, () => 65);
  const error = await assertRejects(
    () => generation(says("x", 8), {}, long).text(),
    SequenceLengthExceededError,
  );
  assertEquals([error.max, error.actual], [8, 9]);
});

Deno.test("a full context ends the generation, or is an error where more was asked for", async () => {
  const open = generation(says("abcdefghijkl", 8));
  // Six places are left, and the last token is never fed back.
  assertEquals(await open.text(), "abcdefg");
  assertEquals((await open.stats()).finishReason, "length");
  const seen: string[] = [];
  const error = await assertRejects(async () => {
    for await (const { text } of generation(says("abcdefghijkl", 8), { maxTokens: 10 })) seen.push(text);
  }, SequenceLengthExceededError);
  assertEquals([error.max, error.actual], [8, 9]);
  assertEquals(seen.join(""), "abcdefg");
});

Deno.test("an abort keeps what was generated", async () => {
  const controller = new AbortController();
  const decoder = says("abcdef");
  const run = generation(decoder, { signal: controller.signal });
  let text = "";
  for await (const chunk of run) {
    text += chunk.text;
    if (text === "abc") controller.abort();
  }
  assertEquals(text, "abc");
  assertEquals((await run.stats()).finishReason, "abort");
  assertEquals(decoder.pool.free, decoder.pool.size);
});

Deno.test("an abort before the start computes nothing", async () => {
  const decoder = says("abc");
  const run = generation(decoder, { signal: AbortSignal.abort() });
  assertEquals(await run.text(), "");
  assertEquals([decoder.steps, (await run.stats()).finishReason], [[], "abort"]);
});

Deno.test("nothing is computed before it is asked for", async () => {
  const decoder = says("abcdef");
  const iterator = generation(decoder)[Symbol.asyncIterator]();
  assertEquals(decoder.steps, []);
  await iterator.next();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(rows(decoder), [2]);
  await iterator.return?.();
  assertEquals(decoder.pool.free, decoder.pool.size);
});

Deno.test("a stream gives the text, and cancelling it frees the pages", async () => {
  let text = "";
  for await (const part of generation(says("a🙂b")).toReadableStream()) text += part;
  assertEquals(text, "a🙂b");
  const decoder = says("abcdef");
  const reader = generation(decoder).toReadableStream().getReader();
  assertEquals(await reader.read(), { done: false, value: "a" });
  await reader.cancel();
  assertEquals(decoder.pool.free, decoder.pool.size);
});

Deno.test("a generation is read once", async () => {
  const run = generation(says("abc"));
  await run.text();
  assertThrows(() => run[Symbol.asyncIterator](), InvalidArgumentError, "once");
});

Deno.test("logprobs are of the model's own distribution, whatever the sampling", async () => {
  const run = generation(says("ab"), { logprobs: true, temperature: 0, repetitionPenalty: 1.5 });
  // The script's token has as much weight as all others together.
  for (const { logprob } of await chunks(run)) assertAlmostEquals(logprob ?? NaN, Math.log(0.5), 1e-5);
});

Deno.test("logprobs as a number add the likeliest tokens, whatever was drawn", async () => {
  const run = generation(says("ab"), { logprobs: 2, temperature: 5, seed: 1 });
  for (const { id, logprob, topLogprobs } of await chunks(run)) {
    assertEquals(topLogprobs?.length, 2);
    assertAlmostEquals(topLogprobs?.[0].logprob ?? NaN, Math.log(0.5), 1e-5);
    assertEquals(topLogprobs?.find((one) => one.id === id)?.logprob ?? logprob, logprob);
  }
});

Deno.test("wrong options are refused at the call", () => {
  for (const logprobs of [-1, 0.5]) {
    assertThrows(() => generation(says("a"), { logprobs }), InvalidArgumentError, "logprobs");
  }
  for (const maxTokens of [-1, 1.5, NaN]) {
    assertThrows(() => generation(says("a"), { maxTokens }), InvalidArgumentError, "maxTokens");
  }
  assertThrows(() => generation(says("a"), { temperature: -1 }), InvalidArgumentError, "temperature");
  assert(generation(says("a"), { maxTokens: 0 }));
});
