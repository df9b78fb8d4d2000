/** Many sequences in one step: nobody's text depends on who else is there. @module */
import { assert, assertEquals } from "@std/assert";
import type { GenerateOptions, Model } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createWasmBackend } from "../../src/backends/wasm/mod.ts";
import { Decoder } from "../../src/generate/decoder.ts";
import { nextTurn } from "../../src/generate/next_task.ts";
import { loadOn, type LoadOptions } from "../../src/load.ts";
import { uniform } from "../../src/sampling/random.ts";
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
