/** Beam search and best-of-n as batches, on real kernels. @module */
import { assert, assertEquals } from "@std/assert";
import type { Model } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { loadOn } from "../../src/load.ts";
import { testOnBackends } from "../support/backends.ts";
import { MODELS } from "../support/goldens.ts";

/** Longer than a page, and not a whole number of them: forks share a page and copy another. */
const PROMPT = Array.from({ length: 41 }, (_, i) => (i * 7 + 11) % 256);
const SAMPLED = { maxTokens: 30, temperature: 1, topK: 20, seed: 40, ignoreEos: true };

function loadTiny(backend: Backend): Promise<Model> {
  return loadOn(() => Promise.resolve({ backend, report: [] }), new URL("llama-gqa/", MODELS), {});
}

await testOnBackends("each of the best of n is what its seed generates alone", async (backend) => {
  await using model = await loadTiny(backend);
  const { beams } = await model.bestOf(PROMPT, { ...SAMPLED, count: 4 });
  const alone: { ids: readonly number[]; score: number }[] = [];
  for (let i = 0; i < 4; i++) {
    const ids: number[] = [];
    let sum = 0;
    const options = { ...SAMPLED, seed: SAMPLED.seed + i, logprobs: true };
    for await (const { id, logprob = NaN } of model.generate(PROMPT, options)) {
      ids.push(id);
      sum += logprob;
    }
    alone.push({ ids, score: sum / ids.length });
  }
  assertEquals(new Set(alone.map(({ ids }) => ids.join())).size, 4);
  alone.sort((a, b) => b.score - a.score);
  assertEquals(beams.map(({ ids }) => ids), alone.map(({ ids }) => ids));
  beams.forEach(({ score }, i) => assert(Math.abs(score - alone[i].score) < 1e-9));
  assertEquals(model.usage.heldPages, 0);
});

await testOnBackends("searches beside generations change nobody's text", async (backend) => {
  await using model = await loadTiny(backend);
  const generate = async () => (await model.generate(PROMPT, SAMPLED).stats()).ids;
  const search = async () => (await model.beamSearch(PROMPT, { beams: 4, maxTokens: 16 })).beams;
  const draw = async () => (await model.bestOf(PROMPT, { ...SAMPLED, count: 3 })).beams;
  const alone = [await generate(), await search(), await draw()];
  assertEquals(await Promise.all([generate(), search(), draw()]), alone);
  const { heldPages, busy, idle } = model.usage;
  assertEquals([heldPages, busy, idle], [0, 0, 0]);
});
