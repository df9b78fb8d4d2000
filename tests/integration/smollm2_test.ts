/** SmolLM2-135M-Instruct in Q4_1 against its F32 reference: next tokens, perplexity, chat. @module */
import { assert, assertEquals } from "@std/assert";
import type { Model } from "../../mod.ts";
import { loadOn } from "../../src/load.ts";
import { defaultThreads } from "../../src/backends/select.ts";
import { createWasmBackend } from "../../src/backends/wasm/mod.ts";
import { sharedUrl, testWithShared } from "../support/shared.ts";

const MODEL = "models/smollm2-135m-instruct-q4_1.gguf";
const REFERENCE = "goldens/smollm2/reference.json";
const TEXT_IDS = "goldens/smollm2/text_ids.json";
/** Below this margin, in logits, quantized activations may choose another token than F32 ones. */
const CLEAR_MARGIN = 0.3;
/** Perplexity may be this much above or below that of the F32 reference. */
const PERPLEXITY_TOLERANCE = 0.02;

interface Reference {
  prompts: { prompt: string; input_ids: number[]; top10: { id: number; logit: number }[] }[];
  perplexity: { tokens: number; perplexity: number };
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(sharedUrl(path)));
}

async function loadModel(build: "simd" | "relaxed" | "auto"): Promise<Model> {
  return await loadOn(
    async () => ({ backend: await createWasmBackend({ build, threads: defaultThreads() }), report: [] }),
    sharedUrl(MODEL),
  );
}

for (const build of ["simd", "relaxed"] as const) {
  testWithShared(`SmolLM2 chooses as the reference does (wasm ${build})`, [MODEL, REFERENCE], async () => {
    const { prompts } = await readJson<Reference>(REFERENCE);
    await using model = await loadModel(build);
    let clear = 0;
    for (const { prompt, input_ids, top10 } of prompts) {
      assertEquals(model.tokenizer.encode(prompt, { parseSpecial: true }), input_ids);
      if (top10[0].logit - top10[1].logit <= CLEAR_MARGIN) continue;
      clear++;
      const { ids } = await model.generate(input_ids, { maxTokens: 1, temperature: 0, ignoreEos: true })
        .stats();
      assertEquals(ids, [top10[0].id], `after ${JSON.stringify(prompt)}`);
    }
    assert(clear >= 3, `only ${clear} prompts have a clear margin`);
  });
}

testWithShared(
  "SmolLM2 has the perplexity of the reference (wasm)",
  [MODEL, REFERENCE, TEXT_IDS],
  async () => {
    const { perplexity } = await readJson<Reference>(REFERENCE);
    const stored = await readJson<number[] | { ids: number[] }>(TEXT_IDS);
    const ids = (Array.isArray(stored) ? stored : stored.ids).slice(0, perplexity.tokens);
    await using model = await loadModel("auto");
    const score = await model.score(ids);
    assertEquals(score.tokens, perplexity.tokens - 1);
    const ratio = score.perplexity / perplexity.perplexity;
    assert(
      Math.abs(ratio - 1) <= PERPLEXITY_TOLERANCE,
      `perplexity ${score.perplexity} is ${ratio} of the reference`,
    );
  },
);
