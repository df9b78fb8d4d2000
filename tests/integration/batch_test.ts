/** Many sequences in one step: nobody's text depends on who else is there. @module */
import { assert, assertEquals } from "@std/assert";
import type { GenerateOptions, Model } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createWasmBackend } from "../../src/backends/wasm/mod.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { Decoder } from "../../src/generate/decoder.ts";
import { Engine } from "../../src/generate/engine.ts";
import { nextTurn } from "../../src/next_task.ts";
import { Sequence } from "../../src/generate/pages.ts";
import { TokenStream } from "../../src/generate/token_stream.ts";
import { loadOn, type LoadOptions } from "../../src/load.ts";
import { describeModel } from "../../src/models/describe.ts";
import { PAGE_SIZE } from "../../src/nn/decoder.ts";
import { uniform } from "../../src/sampling/random.ts";
import { Sampler } from "../../src/sampling/sampler.ts";
import { locateWeights, uploadWeights } from "../../src/weights.ts";
import { testOnBackends } from "../support/backends.ts";

const TINY = new URL("../fixtures/models/llama-gqa/", import.meta.url);

function loadTiny(backend: Backend, options: LoadOptions = {}): Promise<Model> {
  return loadOn(() => Promise.resolve({ backend, report: [] }), TINY, options);
}

/** Whole number in [0, limit) for a seed and a draw. */
function pick(seed: number, draw: number, limit: number): number {
  return Math.floor(uniform(seed, draw) * limit);
}

function prompt(model: Model, seed: number, length: number): number[] {
  return Array.from({ length }, (_, i) => pick(seed, 1000 + i, model.config.vocabSize));
}

await testOnBackends("eight prompts in one batch give what each gives alone", async (backend) => {
  await using model = await loadTiny(backend);
  const prompts = [1, 2, 3, 5, 8, 13, 21, 34].map((length, i) => prompt(model, i, length));
  const options = { maxTokens: 12, temperature: 0, ignoreEos: true };
  const alone = [];
  for (const ids of prompts) alone.push((await model.generate(ids, options).stats()).ids);
  const batch = await model.generateAll(prompts, options);
  assertEquals(batch.map(({ ids }) => ids), alone);
});

/** One sequence of a schedule: when it comes, what it wants, and when it goes. */
interface Part {
  readonly ids: readonly number[];
  readonly options: GenerateOptions;
  readonly start: number;
  readonly leaveAfter: number;
}

/** Greedy and sampled sequences that come and go; one in four goes before its end, one in four reads slowly. */
function schedule(model: Model, seed: number): Part[] {
  return Array.from({ length: 2 + pick(seed, 0, 7) }, (_, i) => {
    const draw = 10 * (i + 1);
    return {
      ids: prompt(model, seed * 100 + i, 1 + pick(seed, draw, 40)),
      options: {
        maxTokens: 1 + pick(seed, draw + 1, 16),
        temperature: pick(seed, draw + 2, 2),
        topK: pick(seed, draw + 3, 2) * 5,
        logprobs: pick(seed, draw + 4, 4) === 0,
        seed: i,
        ignoreEos: true,
      },
      start: pick(seed, draw + 5, 12),
      leaveAfter: pick(seed, draw + 6, 4) === 0 ? pick(seed, draw + 7, 8) : Infinity,
    };
  });
}

/** What each sequence of a schedule says: all together, or one after the other. */
async function play(model: Model, parts: readonly Part[], together: boolean): Promise<string[]> {
  const one = async ({ ids, options, start, leaveAfter }: Part, i: number): Promise<string> => {
    for (let turn = 0; together && turn < start; turn++) await nextTurn();
    const said: string[] = [];
    for await (const { id, logprob } of model.generate(ids, options)) {
      said.push(logprob === undefined ? `${id}` : `${id}:${logprob}`);
      if (said.length > leaveAfter) break;
      if (together && i % 4 === 3) await nextTurn();
    }
    return said.join();
  };
  if (together) return await Promise.all(parts.map(one));
  const all: string[] = [];
  for (const [i, part] of parts.entries()) all.push(await one(part, i));
  return all;
}

async function checkSchedules(model: Model, count: number): Promise<void> {
  for (let seed = 0; seed < count; seed++) {
    const parts = schedule(model, seed);
    assertEquals(await play(model, parts, true), await play(model, parts, false), `schedule ${seed}`);
  }
}

Deno.test("500 schedules of joining and leaving change nobody's text by a bit", async () => {
  const backend = await createWasmBackend({});
  await using model = await loadTiny(backend, { maxSequences: 6 });
  await checkSchedules(model, 500);
});

await testOnBackends("joining and leaving change nobody's text by a bit", async (backend) => {
  await using model = await loadTiny(backend, { maxSequences: 6 });
  await checkSchedules(model, backend.name === "webgpu" ? 2 : 20);
});

await testOnBackends("perplexity and logits are the same in a batch", async (backend) => {
  await using model = await loadTiny(backend);
  const [text, other] = [prompt(model, 1, 60), prompt(model, 2, 45)];
  const options = { maxTokens: 15, temperature: 0, ignoreEos: true };
  const alone = [
    await model.score(text, 50),
    await model.logits(other),
    (await model.generate(text, options).stats()).ids,
  ];
  const together = [
    model.score(text, 50),
    model.logits(other),
    model.generate(text, options).stats().then((it) => it.ids),
  ];
  assertEquals(await Promise.all(together), alone);
});

/** A decoder with a cache of so many tokens for all its sequences. */
async function tinyDecoder(backend: Backend, cacheTokens: number): Promise<Decoder> {
  const file = await openModelFile(TINY);
  const { architecture, config } = await describeModel(file);
  const weights = await uploadWeights(backend, locateWeights(file, architecture.weights(config)), {});
  file.close();
  const [contextLength, cacheDType] = [Math.min(128, cacheTokens), "f16"] as const;
  const sizes = { contextLength, cacheTokens, maxSequences: 8 };
  return await Decoder.create({ backend, architecture, config, weights, cacheDType, ...sizes });
}

function stream(engine: Engine, promptIds: readonly number[], maxTokens: number): TokenStream {
  const sampler = new Sampler({ temperature: 1, seed: 3 });
  return new TokenStream(engine, { promptIds, maxTokens, sampler, eosIds: new Set(), logprobs: false });
}

async function read(tokens: TokenStream): Promise<number[]> {
  const ids: number[] = [];
  for (let token; (token = await tokens.next());) ids.push(token.id);
  return ids;
}

await testOnBackends("who loses its pages and gets them back says the same", async (backend) => {
  using decoder = await tinyDecoder(backend, 6 * PAGE_SIZE);
  const engine = new Engine(decoder, { maxQueue: 0 });
  const prompts = [30, 20, 25, 3].map((length, seed) =>
    Array.from({ length }, (_, i) => pick(seed, i, decoder.vocabSize))
  );
  const alone: number[][] = [];
  for (const ids of prompts) alone.push(await read(stream(engine, ids, 40)));
  const streams = prompts.map((ids) => stream(engine, ids, 40));
  assertEquals(await Promise.all(streams.map(read)), alone);
  assert(streams.some(({ computed }, i) => computed > prompts[i].length + 40), "nobody lost its pages");
  assertEquals(decoder.pool.free, 6);
});

await testOnBackends("a fork goes on as the sequence would have", async (backend) => {
  using decoder = await tinyDecoder(backend, 8 * PAGE_SIZE);
  const after = async (sequence: Sequence, tokens: readonly number[]): Promise<Float32Array> => {
    const [logits] = await decoder.run([{ sequence, tokens, outputs: 1, logits: true }]);
    return (logits as Float32Array).slice();
  };
  using sequence = new Sequence(decoder.pool, 128);
  const start = Array.from({ length: PAGE_SIZE + 9 }, (_, i) => pick(1, i, decoder.vocabSize));
  await after(sequence, start);
  using fork = decoder.fork(sequence);
  // Each writes to a last page of its own.
  await after(sequence, [5]);
  await after(fork, [6]);
  const actual = [await after(sequence, [7]), await after(fork, [7])];
  for (const [i, second] of [5, 6].entries()) {
    using whole = new Sequence(decoder.pool, 128);
    assertEquals(actual[i], await after(whole, [...start, second, 7]));
  }
});
