/**
 * Opens the file of a model without loading it.
 *
 * @module
 */
import type { ModelFile } from "../formats/model_file.ts";
import { openModelFile } from "../formats/open.ts";
import { namedModel } from "../from_pretrained.ts";

/** Opens a model's file, or the one built in; its name is for people. */
export async function openFileOf(source: string | undefined): Promise<{ file: ModelFile; name: string }> {
  if (source === undefined) {
    const { embeddedModel } = await import("../models/embedded/mod.ts");
    return { file: await openModelFile(embeddedModel()), name: "stories" };
  }
  const file = await openModelFile(await namedModel(source));
  return { file, name: file.name };
}
