/** Beam goldens: sequences and scores of the reference implementation's beam search. @module */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Backend } from "../../src/backends/backend.ts";
import { UnsupportedOpError } from "../../src/errors.ts";
import type { BeamSearchOptions, SearchResult } from "../../src/generate/search.ts";
import type { Model } from "../../mod.ts";
import { loadOn } from "../../src/load.ts";
import { testOnBackends } from "../support/backends.ts";
import { DECODER_NAMES, MODELS, ON_WEBGPU } from "../support/goldens.ts";

const TOLERANCE = 1e-4;

interface GoldenBeams {
  num_beams: number;
  length_penalty: number;
  early_stopping: boolean;
  max_new_tokens: number;
  eos_token_id?: number;
  sequences: number[][];
  scores: number[];
}

interface Golden {
  prompts: { input_ids: number[]; beam?: GoldenBeams; beam_eos?: GoldenBeams }[];
}

function options(golden: GoldenBeams): BeamSearchOptions {
  return {
    beams: golden.num_beams,
    maxTokens: golden.max_new_tokens,
    lengthPenalty: golden.length_penalty,
    earlyStopping: golden.early_stopping,
    eosIds: golden.eos_token_id === undefined ? [] : [golden.eos_token_id],
  };
}

/** Compares a search with its golden. */
function assertFound(found: SearchResult, golden: GoldenBeams): void {
  assertEquals(found.beams.map(({ ids }) => ids), golden.sequences);
  found.beams.forEach(({ score }, i) =>
    assert(Math.abs(score - golden.scores[i]) <= TOLERANCE, `score ${score}, not ${golden.scores[i]}`)
  );
}

const NAMES = [...DECODER_NAMES, "t5", "t5-v1_1", "t5-bf16", "t5-f16", "bart"];
/** What WebGPU has no kernel for, by model. */
const REFUSED_BY_WEBGPU: Readonly<Record<string, string>> = {
  mixtral: "topK",
  qwen2_moe: "topK",
  qwen3_moe: "topK",
  t5: "relative bias",
  "t5-v1_1": "relative bias",
  "t5-bf16": "relative bias",
  "t5-f16": "relative bias",
};
const runsOnWebGpu = (name: string): boolean => ON_WEBGPU.includes(name) || name === "bart";

function loadOnly(backend: Backend, name: string): Promise<Model> {
  return loadOn(() => Promise.resolve({ backend, report: [] }), new URL(`${name}/`, MODELS), { kv: "f32" });
}

for (const name of NAMES) {
  const { prompts }: Golden = JSON.parse(Deno.readTextFileSync(new URL(`${name}/golden.json`, MODELS)));
  const cases = prompts.flatMap(({ input_ids, beam, beam_eos }) =>
    [beam, beam_eos].filter((golden) => golden !== undefined).map((golden) => ({ input_ids, golden }))
  );
  if (cases.length === 0) continue;
  await testOnBackends(
    `beams ${name}`,
    async (backend) => {
      await using model = await loadOnly(backend, name);
      for (const { input_ids, golden } of cases) {
        assertFound(await model.beamSearch(input_ids, options(golden)), golden);
        assertEquals(model.usage.heldPages, 0);
      }
      // All at once, in the same steps.
      const found = await Promise.all(
        cases.map(({ input_ids, golden }) => model.beamSearch(input_ids, options(golden))),
      );
      found.forEach((result, i) => assertFound(result, cases[i].golden));
      assertEquals([model.usage.heldPages, model.usage.busy + model.usage.idle], [0, 0]);
    },
    (backend) => backend !== "webgpu" || runsOnWebGpu(name),
  );
  if (!(name in REFUSED_BY_WEBGPU)) continue;
  await testOnBackends(
    `beams ${name} are refused before anything runs`,
    async (backend) => {
      await assertRejects(() => loadOnly(backend, name), UnsupportedOpError, REFUSED_BY_WEBGPU[name]);
    },
    (backend) => backend === "webgpu",
  );
}
