/** What a model's own files recommend. @module */
import { assertEquals } from "@std/assert";
import type { ModelFile } from "./formats/model_file.ts";
import { samplingDefaults } from "./model_files.ts";

function file(more: Partial<ModelFile>): ModelFile {
  return {
    format: "safetensors",
    naming: "hugging_face",
    name: "model",
    bytes: 0,
    metadata: {},
    tensors: new Map(),
    close() {},
    ...more,
  };
}

Deno.test("generation_config.json: what is drawn counts with do_sample, the penalty always", () => {
  const generationConfig = { temperature: 0.7, top_k: 20, top_p: 0.8, min_p: 0.1, repetition_penalty: 1.05 };
  const penalty = { repetitionPenalty: 1.05, repetitionWindow: 2 ** 31 };
  assertEquals(samplingDefaults(file({ generationConfig: { ...generationConfig, do_sample: true } })), {
    temperature: 0.7,
    topK: 20,
    topP: 0.8,
    minP: 0.1,
    ...penalty,
  });
  assertEquals(samplingDefaults(file({ generationConfig })), penalty);
  assertEquals(samplingDefaults(file({ generationConfig: {} })), {});
});

Deno.test("general.sampling of GGUF", () => {
  const metadata = {
    "general.sampling.temp": 0.5,
    "general.sampling.min_p": 0.05,
    "general.sampling.penalty_repeat": 1.25,
    "general.sampling.penalty_last_n": 32,
  };
  assertEquals(samplingDefaults(file({ metadata })), {
    temperature: 0.5,
    minP: 0.05,
    repetitionPenalty: 1.25,
    repetitionWindow: 32,
  });
  assertEquals(samplingDefaults(file({})), {});
});
