/** Configurations in the other format's words: what both can say comes back, what GGUF cannot say is refused. @module */
import { assertEquals, assertRejects } from "@std/assert";
import { MODELS, withFolder } from "../../tests/support/goldens.ts";
import { UnsupportedModelError } from "../errors.ts";
import { openModelFile } from "../formats/open.ts";
import { describeModel } from "../models/describe.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { WRITABLE } from "../tensor/quantize.ts";
import { convert, convertFile } from "./convert.ts";
import { QUANT_KINDS } from "./quant_kinds.ts";
import { chooseDType } from "./quantize_plan.ts";
import { differences } from "./same_config.ts";

const factors = (from: number): number[] => Array.from({ length: 8 }, (_, i) => from + i / 8);

const SCALINGS: Readonly<Record<string, Record<string, unknown>>> = {
  linear: { factor: 2 },
  dynamic: { factor: 2 },
  yarn: { factor: 4, original_max_position_embeddings: 32, beta_fast: 16, attention_factor: 1.3 },
  llama3: { factor: 8, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 32 },
  longrope: { short_factor: factors(1), long_factor: factors(2), original_max_position_embeddings: 32 },
};

for (const [kind, fields] of Object.entries(SCALINGS)) {
  Deno.test(`RoPE scaling ${kind} to GGUF and back`, () =>
    withFolder(async (folder) => {
      const file = await openModelFile(new URL("llama/", MODELS));
      const { rope_parameters: _, ...rest } = file.config ?? {};
      const config = { ...rest, rope_theta: 10000, rope_scaling: { rope_type: kind, ...fields } };
      const scaled = { ...file, config };
      const { config: before } = await describeModel(scaled);
      await convertFile(scaled, `${folder}/a.gguf`);
      await convert(`${folder}/a.gguf`, `${folder}/b`);
      for (const path of [`${folder}/a.gguf`, `${folder}/b`]) {
        const converted = await openModelFile(path);
        assertEquals(differences(before, (await describeModel(converted)).config), []);
        converted.close();
      }
      file.close();
    }));
}

Deno.test("differences names the fields that another model computes with", async () => {
  const file = await openModelFile(new URL("gemma2/", MODELS));
  const { config } = await describeModel(file);
  assertEquals(differences(config, config), []);
  assertEquals(differences(config, { ...config, logitSoftcap: 9, windows: [0, 0] }), [
    "windows",
    "logitSoftcap",
  ]);
  file.close();
});

Deno.test("windows in layers that GGUF readers do not know of are refused by name", () =>
  withFolder(async (folder) => {
    const file = await openModelFile(new URL("gemma2/", MODELS));
    const config = { ...file.config, layer_types: ["full_attention", "sliding_attention"] };
    const write = () => convertFile({ ...file, config }, `${folder}/a.gguf`);
    await assertRejects(write, UnsupportedModelError, "GGUF cannot say this model's windows");
    file.close();
  }));

Deno.test("all that can be written in blocks is a kind, and rows of any length get something", () => {
  assertEquals(QUANT_KINDS.toSorted(), WRITABLE.toSorted());
  for (const kind of QUANT_KINDS) {
    assertEquals(chooseDType({ shape: [2, 256] }, kind, false), { dtype: kind, fits: true });
    const choice = chooseDType({ shape: [2, 30] }, kind, false);
    assertEquals(choice && DTYPES[choice.dtype].blockSize, 1);
  }
  assertEquals(chooseDType({ shape: [2, 32] }, "q5_k", false), { dtype: "q5_1", fits: false });
  assertEquals(chooseDType({ shape: [256] }, "q5_k", false), undefined);
});
