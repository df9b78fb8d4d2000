/** Steps that are begun before anybody asks for them: when, and that nobody sees a difference. @module */
import { assert, assertEquals } from "@std/assert";
import type { GenerateOptions, Model } from "../../mod.ts";
import type { Backend, Executable } from "../../src/backends/backend.ts";
import { createWasmBackend } from "../../src/backends/wasm/mod.ts";
import { PAGE_SIZE } from "../../src/nn/decoder.ts";
import { loadOn } from "../../src/load.ts";

/** How many steps were run as they were asked for, and how many were fed by the one before. */
interface Steps {
  asked: number;
  fed: number;
}

/** The story model on threads whose steps are counted; so many may be begun ahead. */
async function loadCounted(fedSteps = 1): Promise<{ model: Model; steps: Steps }> {
  const backend = await createWasmBackend({ threads: 2, partWork: 0 });
  const steps = { asked: 0, fed: 0 };
  const compile = backend.compile.bind(backend);
  const counted: Backend = Object.assign(backend, {
    compile: async (...args: Parameters<Backend["compile"]>): Promise<Executable> => {
      const executable = await compile(...args);
      const run = executable.run.bind(executable);
      const { runFed } = executable;
      return Object.assign(executable, {
        fedSteps,
        run: (step: Parameters<typeof run>[0]) => (steps.asked++, run(step)),
        runFed: (...fed: Parameters<NonNullable<typeof runFed>>) => (steps.fed++, runFed?.(...fed)),
      });
    },
  });
  return { model: await loadOn(() => Promise.resolve({ backend: counted, report: [] })), steps };
}

const GREEDY: GenerateOptions = { temperature: 0, ignoreEos: true };

Deno.test("all steps of a greedy text but the first one and the first of a page are begun ahead, and none behind its last", async () => {
  const { model, steps } = await loadCounted();
  await using _ = model;
  const prompt = [1, 2, 3];
  const maxTokens = 70;
  const { ids } = await model.generate(prompt, { ...GREEDY, maxTokens }).stats();
  assertEquals(ids.length, maxTokens);
  // The last token is in no step; pages begin at 32 and 64, and nothing is begun behind the prompt.
  const pages = Math.floor((prompt.length + maxTokens - 2) / PAGE_SIZE);
  assertEquals(pages, 2);
  assertEquals(steps, { asked: 2 + pages, fed: maxTokens - 2 - pages });
});

Deno.test("where tokens are drawn, or none follows, no step is begun ahead", async () => {
  const { model, steps } = await loadCounted();
  await using _ = model;
  await model.generate([1, 2, 3], { ...GREEDY, temperature: 1, maxTokens: 10 }).stats();
  await model.generate([1, 2, 3], { ...GREEDY, logprobs: true, maxTokens: 10 }).stats();
  await model.generate([1, 2, 3], { ...GREEDY, maxTokens: 1 }).stats();
  assertEquals(steps.fed, 0);
  assert(steps.asked >= 21);
});

Deno.test("a text that ends before its limit wastes one step, and the next one does not see it", async () => {
  const { model, steps } = await loadCounted();
  await using _ = model;
  const options = { ...GREEDY, maxTokens: 20 };
  const whole = await model.generate([1, 2, 3], options).stats();
  const before = { ...steps };
  const read: number[] = [];
  for await (const { id } of model.generate([1, 2, 3], options)) {
    read.push(id);
    if (read.length === 8) break;
  }
  assertEquals(read, whole.ids.slice(0, 8));
  assert(steps.fed - before.fed <= 8, `${steps.fed - before.fed} steps for 8 tokens`);
  // Its pages are used anew while that step may still run.
  for (const prompt of [[4, 5], [1, 2, 3], [9]]) {
    const { ids } = await model.generate(prompt, options).stats();
    await using alone = await loadOn(async () => ({
      backend: await createWasmBackend({ threads: 0 }),
      report: [],
    }));
    assertEquals(ids, (await alone.generate(prompt, options).stats()).ids);
  }
});

Deno.test("a sequence that leaves a batch does not cost the others the step that was begun", async () => {
  const { model, steps } = await loadCounted();
  await using _ = model;
  const options = { ...GREEDY, maxTokens: 24 };
  const prompts = [[1, 2], [3, 4], [5, 6], [7, 8]];
  const alone = [];
  for (const prompt of prompts) alone.push((await model.generate(prompt, options).stats()).ids);
  const before = { ...steps };
  // One after the other breaks off, in the middle of a page.
  const read = await Promise.all(prompts.map(async (prompt, i) => {
    const ids: number[] = [];
    for await (const { id } of model.generate(prompt, options)) if (ids.push(id) === 6 + 4 * i) break;
    return ids;
  }));
  assertEquals(read, alone.map((ids, i) => ids.slice(0, 6 + 4 * i)));
  // The prompts, the first step behind them, and one behind each of the three that left: its rows are others than those before.
  assertEquals(steps.asked - before.asked, 2 + 3);
});

Deno.test("where steps are short several are begun ahead, and the text is the same", async () => {
  const { model, steps } = await loadCounted(4);
  await using _ = model;
  const { model: other } = await loadCounted();
  await using __ = other;
  const options = { ...GREEDY, maxTokens: 90 };
  const prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9]];
  const expected = await other.generateAll(prompts, options);
  steps.fed = steps.asked = 0;
  const texts = await model.generateAll(prompts, options);
  assertEquals(texts.map(({ ids }) => ids), expected.map(({ ids }) => ids));
  // How many steps were begun that no token has come of.
  steps.fed = steps.asked = 0;
  const begun: number[] = [];
  const read: number[] = [];
  for await (const { id } of model.generate([1, 2, 3], options)) {
    begun.push(steps.asked + steps.fed - read.push(id));
    if (read.length === 80) break;
  }
  assertEquals(read, expected[0].ids.slice(0, 80));
  assertEquals(Math.max(...begun), 4);
});
