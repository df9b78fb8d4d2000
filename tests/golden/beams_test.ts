/** Beam goldens: sequences and scores of the reference implementation's beam search. @module */
import { assert, assertEquals } from "@std/assert";
import { type BeamOptions, beamSearch } from "../../src/generate/beam.ts";
import type { ForkingSequences } from "../../src/generate/forking.ts";
import { loadOn } from "../../src/load.ts";
import type { Model } from "../../src/model.ts";
import { testOnBackends } from "../support/backends.ts";

const MODELS = new URL("../fixtures/models/", import.meta.url);
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
  kind: string;
  prompts: { input_ids: number[]; beam: GoldenBeams; beam_eos?: GoldenBeams }[];
}

/** Forks by computing every sequence from its beginning. */
function replayed(model: Model, prompt: readonly number[]): ForkingSequences {
  let sequences: (readonly number[])[] = [prompt];
  return {
    start: () => model.logits(prompt),
    async step(branches) {
      sequences = branches.map(({ parent, token }) => [...sequences[parent], token]);
      const rows: Float32Array[] = [];
      for (const sequence of sequences) rows.push(await model.logits(sequence));
      return rows;
    },
  };
}

function beamOptions(golden: GoldenBeams): BeamOptions {
  return {
    beams: golden.num_beams,
    maxTokens: golden.max_new_tokens,
    lengthPenalty: golden.length_penalty,
    earlyStopping: golden.early_stopping,
    eosIds: golden.eos_token_id === undefined ? [] : [golden.eos_token_id],
  };
}

const goldens = new Map<string, Golden>();
for (const { name } of Deno.readDirSync(MODELS)) {
  const golden: Golden = JSON.parse(Deno.readTextFileSync(new URL(`${name}/golden.json`, MODELS)));
  if (golden.kind === "causal") goldens.set(name, golden);
}

for (const [name, { prompts }] of [...goldens].sort()) {
  await testOnBackends(
    `beams ${name}`,
    async (backend) => {
      const choose = () => Promise.resolve({ backend, report: [] });
      await using model = await loadOn(choose, new URL(`${name}/`, MODELS), { kv: "f32" });
      for (const { input_ids, beam, beam_eos } of prompts) {
        for (const golden of beam_eos ? [beam, beam_eos] : [beam]) {
          const found = await beamSearch(replayed(model, input_ids), beamOptions(golden));
          assertEquals(found.map(({ ids }) => ids), golden.sequences);
          found.forEach(({ score }, i) =>
            assert(Math.abs(score - golden.scores[i]) <= TOLERANCE, `score ${score}, not ${golden.scores[i]}`)
          );
        }
      }
    },
    (backend) => backend === "reference" || backend === "wasm",
  );
}
