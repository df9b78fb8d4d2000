/** Choosing a token among 49,152 and 131,072 logits. @module */
import { Sampler, type SamplingOptions } from "../../src/sampling/sampler.ts";
import { integers, normal } from "../../tests/support/random.ts";

const CASES: Readonly<Record<string, SamplingOptions>> = {
  "temperature 0, penalty": { temperature: 0, repetitionPenalty: 1.1 },
  "temperature 1": { temperature: 1 },
  "dynamic temperature": { temperature: 1, dynamicTemperatureRange: 0.5 },
  "top-nσ 1": { temperature: 0.8, topNSigma: 1 },
  "top-k 40": { temperature: 0.8, topK: 40 },
  "typical 0.9": { temperature: 0.8, typicalP: 0.9 },
  "top-p 0.95": { temperature: 0.8, topP: 0.95 },
  "min-p 0.05": { temperature: 0.8, minP: 0.05 },
  "XTC": { temperature: 0.8, xtcProbability: 1, xtcThreshold: 0.001 },
  "mirostat 1": { mirostat: 1 },
  "mirostat 2": { mirostat: 2 },
  "top-k 40, top-p 0.95, penalty": { temperature: 0.8, topK: 40, topP: 0.95, repetitionPenalty: 1.1 },
  "DRY, top-k 40": { temperature: 0.8, topK: 40, dryMultiplier: 0.8 },
  "all at once": {
    temperature: 0.8,
    logitBias: { 7: 1 },
    repetitionPenalty: 1.1,
    frequencyPenalty: 0.1,
    dryMultiplier: 0.8,
    topNSigma: 4,
    topK: 1000,
    typicalP: 0.99,
    topP: 0.98,
    minP: 0.0001,
    xtcProbability: 1,
    dynamicTemperatureRange: 0.5,
  },
};

for (const vocabulary of [49152, 131072]) {
  // About as wide as the logits of a language model.
  const row = normal(vocabulary, 1, 3);
  const history = [...integers(512, vocabulary, 2)];
  for (const [name, options] of Object.entries(CASES)) {
    const sampler = new Sampler({ ...options, seed: 3 });
    const logits = new Float32Array(vocabulary);
    let position = 0;
    Deno.bench({
      name: `${name}, ${vocabulary}`,
      group: `sampling of ${vocabulary}`,
      baseline: name === "top-k 40",
      fn(b) {
        logits.set(row);
        b.start();
        sampler.next(logits, history, position++);
        b.end();
      },
    });
  }
}
