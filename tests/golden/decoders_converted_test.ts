/**
 * The decoder goldens through every format: as GGUF, back in a Hugging Face folder, as GGUF again, as forge. Each must
 * still give the reference's logits and tokens, and what went both ways must be what it was.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { convert } from "../../src/convert/convert.ts";
import { crc32 } from "../../src/formats/crc32.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { assertGolden, DECODER_NAMES, MODELS, readGolden, withFolder } from "../support/goldens.ts";

/** Names of the tensors of a file, and a checksum of each. */
async function tensorsOf(path: string | URL): Promise<Map<string, string>> {
  const file = await openModelFile(path);
  try {
    const all = await Promise.all([...file.tensors.values()].map(async (tensor) => {
      const bytes = await tensor.source.read(tensor.offset, tensor.byteLength);
      return [tensor.name, `${tensor.dtype} [${tensor.shape}] ${crc32(bytes)}`] as const;
    }));
    return new Map(all.sort(([a], [b]) => a < b ? -1 : 1));
  } finally {
    file.close();
  }
}

for (const name of DECODER_NAMES) {
  Deno.test(`golden ${name} converted to GGUF, safetensors, GGUF, forge`, () =>
    withFolder(async (folder) => {
      const golden = await readGolden(name);
      const [gguf, back, again, forge] = ["a.gguf", "b", "c.gguf", "d.forge"].map((file) =>
        `${folder}/${file}`
      );
      const source = new URL(`${name}/`, MODELS);
      assertEquals((await convert(source, gguf)).dropped, []);
      await convert(gguf, back);
      await convert(back, again);
      await convert(back, forge);
      for (const path of [gguf, back, again, forge]) await assertGolden(path, golden);
      assertEquals(await tensorsOf(again), await tensorsOf(gguf));
      const [original, converted] = [await tensorsOf(source), await tensorsOf(back)];
      assertEquals([...converted.keys()], [...original.keys()]);
    }));
}
