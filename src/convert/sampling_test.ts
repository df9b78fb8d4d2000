/** Recommended sampling is the same whichever way it was written. @module */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { samplingDefaults } from "../model_files.ts";
import type { ModelFile } from "../formats/model_file.ts";
import type { SamplingOptions } from "../sampling/sampler.ts";
import { ggufSampling, huggingFaceSampling } from "./sampling.ts";

const FILE: ModelFile = {
  format: "gguf",
  naming: "gguf",
  name: "model",
  bytes: 0,
  metadata: {},
  tensors: new Map(),
  close() {},
};

const share = fc.float({ min: Math.fround(0.01), max: 1, noNaN: true });
/** A temperature is always there where something is drawn: `generation_config.json` has a default. */
const recommended: fc.Arbitrary<SamplingOptions> = fc.record({
  drawn: fc.option(
    fc.record(
      { temperature: share, topK: fc.nat(500), topP: share, minP: share, typicalP: share },
      { requiredKeys: ["temperature"] },
    ),
    { nil: {} },
  ),
  penalty: fc.option(
    fc.record({ repetitionPenalty: share, repetitionWindow: fc.constant(2 ** 31) }),
    { nil: {} },
  ),
}).map(({ drawn, penalty }) => ({ ...drawn, ...penalty }));

Deno.test("recommended sampling comes back from GGUF and from generation_config.json", () => {
  fc.assert(fc.property(recommended, (options) => {
    const fields = Object.entries(ggufSampling(options)).map(([key, value]) => [
      key,
      (value as { value: number }).value,
    ]);
    assertEquals(samplingDefaults({ ...FILE, metadata: Object.fromEntries(fields) }), options);
    assertEquals(samplingDefaults({ ...FILE, generationConfig: huggingFaceSampling(options) }), options);
  }));
});
