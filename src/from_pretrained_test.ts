/** Hub names, resolved in a cache as the Hub's own tools lay it out. @module */
import { assertEquals, assertRejects } from "@std/assert";
import { MODELS, withFolder } from "../tests/support/goldens.ts";
import { ModelNotFoundError } from "./errors.ts";
import { cachedModel, fromPretrained } from "./from_pretrained.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

async function cacheWith(folder: string): Promise<string> {
  const model = `${folder}/models--org--tiny`;
  const snapshot = `${model}/snapshots/${COMMIT}`;
  await Deno.mkdir(`${model}/refs`, { recursive: true });
  await Deno.mkdir(`${model}/blobs`);
  await Deno.mkdir(snapshot, { recursive: true });
  await Deno.writeTextFile(`${model}/refs/main`, COMMIT);
  for (const name of ["config.json", "model.safetensors"]) {
    await Deno.copyFile(new URL(`llama/${name}`, MODELS), `${model}/blobs/${name}`);
    // Snapshots are links into the blobs.
    await Deno.symlink(`../../blobs/${name}`, `${snapshot}/${name}`);
  }
  return snapshot;
}

Deno.test("a Hub name whose files are in the cache is loaded from there", () =>
  withFolder(async (cache) => {
    const snapshot = await cacheWith(cache);
    assertEquals(await cachedModel("org/tiny", { cache }), snapshot);
    assertEquals(
      await cachedModel("org/tiny:config.json", { cache, revision: COMMIT }),
      `${snapshot}/config.json`,
    );
    await using model = await fromPretrained("org/tiny", { cache, backend: "wasm" });
    assertEquals(model.config.architecture, "llama");
  }));

Deno.test("a Hub name that is not in the cache says so, and how to get it", () =>
  withFolder(async (cache) => {
    await cacheWith(cache);
    const missing: [name: string, revision: string, download: string][] = [
      ["org/other", "main", "org/other"],
      ["org/tiny", "v2", "org/tiny --revision v2"],
      ["org/tiny:x.gguf", "main", "org/tiny x.gguf"],
      ["org/tiny", "..", "org/tiny --revision .."],
    ];
    for (const [name, revision, download] of missing) {
      await assertRejects(
        () => fromPretrained(name, { cache, revision }),
        ModelNotFoundError,
        `nothing is downloaded here; run hf download ${download} --cache-dir ${cache} first`,
      );
    }
  }));

Deno.test("a folder is loaded as it is", async () => {
  await using model = await fromPretrained(new URL("llama/", MODELS), { backend: "wasm" });
  assertEquals(model.config.layers, 2);
});
