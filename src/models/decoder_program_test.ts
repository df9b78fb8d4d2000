import { assert, assertEquals } from "@std/assert";
import { DECODER_NAMES, MODELS } from "../../tests/support/goldens.ts";
import { openModelFile } from "../formats/open.ts";
import { opCost } from "../program/cost.ts";
import type { Program } from "../program/program.ts";
import { locateWeights } from "../weights.ts";
import type { WeightTypes } from "./architecture.ts";
import { decoderProgram } from "./decoder_program.ts";
import { describeModel } from "./describe.ts";
import { encoderProgram } from "./encoder_program.ts";

const CACHE = { pages: 4, maxPages: 2, sequences: 2, dtype: "f32" } as const;
const CROSS = { pages: 4, maxPages: 2 } as const;

/** The Programs of a model: of a step that gives logits, and of one that gives hidden states. */
async function programsOf(name: string): Promise<{ decoder: Program; encoder: Program }> {
  const file = await openModelFile(new URL(`${name}/`, MODELS));
  const { architecture, config } = await describeModel(file);
  const located = locateWeights(file, architecture.weights(config));
  const types: WeightTypes = new Map(located.map(({ spec }) => [spec.name, spec]));
  file.close();
  const cache = config.kind === "encoder-decoder" ? { ...CACHE, cross: CROSS } : CACHE;
  return {
    decoder: decoderProgram(architecture, config, types, { rows: 8, outputs: 2, cache }),
    encoder: encoderProgram(architecture, config, types, { rows: 8, ...CACHE }),
  };
}

/** The ops behind the last attention to anything. */
function tail({ ops }: Program): Program["ops"] {
  return ops.slice(ops.findLastIndex(({ name }) => name === "pagedAttention") + 1);
}

for (const name of [...DECODER_NAMES, "t5", "bart"]) {
  Deno.test(`behind the last attention of ${name}, rows without output cost nothing`, async () => {
    const { decoder, encoder } = await programsOf(name);
    const products = tail(decoder).filter(({ name }) => name === "linear" || name === "matmulExperts");
    assert(products.length >= 3);
    for (const op of tail(decoder)) {
      for (const id of op.outputs) assertEquals(decoder.values[id].shape[0], "outputs");
      assertEquals(opCost(decoder, op, { rows: 8, outputs: 0 }, 8).multiplyAdds, 0);
    }
    // Where hidden states are what is wanted, they are those of all rows.
    assertEquals(encoder.values.find(({ name }) => name === "hidden")?.shape[0], "rows");
  });
}
