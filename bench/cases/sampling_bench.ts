/** Choosing a token among 49,152 logits. @module */
import { Sampler, type SamplingOptions } from "../../src/sampling/sampler.ts";
import { integers, normal } from "../../tests/support/random.ts";

const VOCABULARY = 49152;
/** About as wide as the logits of a language model. */
const LOGITS = normal(VOCABULARY, 1, 3);
const HISTORY = [...integers(512, VOCABULARY, 2)];

const CASES: Readonly<Record<string, SamplingOptions>> = {
  greedy: { temperature: 0 },
  "temperature 1": { temperature: 1 },
  "top-k 40": { temperature: 0.8, topK: 40 },
  "top-p 0.95": { temperature: 0.8, topP: 0.95 },
  "top-k 40, top-p 0.95": { temperature: 0.8, topK: 40, topP: 0.95 },
  "min-p 0.05": { temperature: 0.8, minP: 0.05 },
  "top-k 40, repetition penalty": { temperature: 0.8, topK: 40, repetitionPenalty: 1.1 },
};

for (const [name, options] of Object.entries(CASES)) {
  const sampler = new Sampler({ ...options, seed: 3 });
  const logits = new Float32Array(VOCABULARY);
  let position = 0;
  Deno.bench({
    name,
    group: "sampling",
    baseline: name === "top-k 40",
    fn(b) {
      logits.set(LOGITS);
      b.start();
      sampler.next(logits, HISTORY, position++);
      b.end();
    },
  });
}
