/** Configurations that no model has are refused before anything is made of their numbers. @module */
import { assertRejects, assertThrows } from "@std/assert";
import { InvalidConfigError } from "../errors.ts";
import { openModelFile } from "../formats/open.ts";
import { describeModel } from "./describe.ts";
import { sentencePooling } from "./pooling.ts";

const MODELS = new URL("../../tests/fixtures/models/", import.meta.url);

Deno.test("impossible numbers of layers and experts", async () => {
  const file = await openModelFile(new URL("mixtral/", MODELS));
  const refused: Record<string, unknown>[] = [
    { num_hidden_layers: 2_000_000_000 },
    { num_hidden_layers: 1000, num_local_experts: 1_000_000 },
    { num_local_experts: 2 ** 31 },
    { hidden_size: 1e308 },
  ];
  for (const fields of refused) {
    const config = { ...file.config, ...fields };
    await assertRejects(
      () => describeModel({ ...file, config }),
      InvalidConfigError,
      Object.keys(fields).at(-1),
    );
  }
  file.close();
});

Deno.test("names that every object has are not known values", async () => {
  for (const [model, field] of [["llama", "hidden_act"], ["t5", "feed_forward_proj"]]) {
    const file = await openModelFile(new URL(`${model}/`, MODELS));
    const config = { ...file.config, [field]: "constructor" };
    await assertRejects(() => describeModel({ ...file, config }), InvalidConfigError, field);
    file.close();
  }
  assertThrows(() => sentencePooling({ pooling_mode: "constructor" }), InvalidConfigError, "pooling_mode");
});
