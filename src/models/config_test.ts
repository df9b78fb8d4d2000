/** Configurations that no model has are refused before anything is made of their numbers. @module */
import { assertRejects } from "@std/assert";
import { InvalidConfigError } from "../errors.ts";
import { openModelFile } from "../formats/open.ts";
import { describeModel } from "./describe.ts";

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
