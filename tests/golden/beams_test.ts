/** Beam goldens: sequences and scores of the reference implementation's beam search. @module */
import { assert, assertEquals } from "@std/assert";
import type { BeamSearchOptions, SearchResult } from "../../src/generate/search.ts";
import { loadOn } from "../../src/load.ts";
import { testOnBackends } from "../support/backends.ts";
import { DECODER_NAMES, MODELS } from "../support/goldens.ts";

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

for (const name of NAMES) {
  const { prompts }: Golden = JSON.parse(Deno.readTextFileSync(new URL(`${name}/golden.json`, MODELS)));
  const cases = prompts.flatMap(({ input_ids, beam, beam_eos }) =>
    [beam, beam_eos].filter((golden) => golden !== undefined).map((golden) => ({ input_ids, golden }))
  );
  if (cases.length === 0) continue;
  await testOnBackends(
    `beams ${name}`,
    async (backend) => {
      const choose = () => Promise.resolve({ backend, report: [] });
      await using model = await loadOn(choose, new URL(`${name}/`, MODELS), { kv: "f32" });
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
    (backend) => backend === "reference" || backend === "wasm",
  );
}
