/** Prompts that begin as an earlier one did, on real kernels. @module */
import { assert, assertEquals } from "@std/assert";
import type { Model } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { loadOn, type LoadOptions } from "../../src/load.ts";
import { PAGE_SIZE } from "../../src/nn/decoder.ts";
import { BACKEND_SOURCES, testOnBackends } from "../support/backends.ts";
import { MODELS } from "../support/goldens.ts";

const KV = ["f32", "f16"] as const;

function loadTiny(backend: Backend, options: LoadOptions): Promise<Model> {
  return loadOn(() => Promise.resolve({ backend, report: [] }), new URL("llama-gqa/", MODELS), options);
}

async function another(label: string): Promise<Backend> {
  const found = BACKEND_SOURCES.find((source) => source.label === label);
  assert(found);
  return await found.create();
}

function ids(from: number, length: number): number[] {
  return Array.from({ length }, (_, i) => ((from + i) * 37 + 11) % 256);
}

/** What is said after a prompt, with the log-probabilities to the bit, and how much of the prompt was known. */
async function say(model: Model, prompt: readonly number[]): Promise<{ said: string[]; reused: number }> {
  const options = { maxTokens: 8, temperature: 1, seed: 3, ignoreEos: true, logprobs: true };
  const generation = model.generate(prompt, options);
  const said: string[] = [];
  for await (const { id, logprob } of generation) said.push(`${id}:${logprob}`);
  return { said, reused: (await generation.stats()).reusedTokens };
}

await testOnBackends(
  "pages that are used again give the same bits as computing them",
  async (_, t, label) => {
    for (const kv of KV) {
      await t.step(kv, async () => {
        await using fresh = await loadTiny(await another(label), { kv, prefixCache: false });
        await using model = await loadTiny(await another(label), { kv });
        const start = ids(0, 3 * PAGE_SIZE);
        // Of the second a page more is known, of the third two are, and of the last one none is.
        const prompts: [number[], number][] = [
          [[...start, ...ids(500, 5)], 0],
          [[...start, ...ids(500, 5)], 3],
          [[...start.slice(0, 2 * PAGE_SIZE + 7), ...ids(900, 40)], 2],
          [ids(300, 50), 0],
        ];
        for (const [prompt, pages] of prompts) {
          const { said, reused } = await say(fresh, prompt);
          assertEquals(reused, 0);
          assertEquals(await say(model, prompt), { said, reused: pages * PAGE_SIZE });
        }
        assertEquals(model.usage.heldPages, 0);
        assert(model.usage.keptPages > 0);
      });
    }
  },
);
