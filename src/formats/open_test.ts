import { assert, assertEquals, assertRejects } from "@std/assert";
import { InvalidFileError, LLMForgeError, PermissionError, UnknownDTypeError } from "../errors.ts";
import { buildGguf } from "../../tests/support/build_gguf.ts";
import { buildSafetensors } from "../../tests/support/build_safetensors.ts";
import { bf16ToF32, f16ToF32 } from "../tensor/float16.ts";
import { openModelFile } from "./open.ts";

const FIXTURES = new URL("../../tests/fixtures/models/", import.meta.url);
const fixture = (path: string) => new URL(path, FIXTURES).pathname;

const WEIGHT = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };
const OTHER = { dtype: "F32", shape: [1], data: Float32Array.of(3) };

/** Writes a folder of files, text or bytes, and removes it afterwards. */
async function withFolder(
  files: Record<string, string | Uint8Array>,
  action: (folder: string) => Promise<unknown>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeFile(
        `${folder}/${name}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
    }
    await action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (
  const [name, dtype] of [
    ["llama", "f32"],
    ["llama-gqa", "f32"],
    ["llama-gqa-bf16", "bf16"],
    ["llama-gqa-f16", "f16"],
    ["llama-gqa-sharded", "f32"],
    ["llama3-rope", "f32"],
  ] as const
) {
  Deno.test(`opens the folder ${name}`, async () => {
    const golden = JSON.parse(await Deno.readTextFile(fixture(`${name}/golden.json`)));
    const file = await openModelFile(fixture(name));
    assertEquals([file.format, file.name], ["safetensors", fixture(name)]);
    assertEquals(file.config?.["model_type"], "llama");
    assertEquals(file.generationConfig?.["_from_model_config"], true);
    assertEquals(
      Object.fromEntries([...file.tensors.values()].map((t) => [t.name, t.shape])),
      golden.tensors,
    );
    assertEquals([...new Set([...file.tensors.values()].map((t) => t.dtype))], [dtype]);
    assertEquals([file.tokenizerJson, file.tokenizerConfig, file.chatTemplate], [
      undefined,
      undefined,
      undefined,
    ]);
    file.close();
  });
}

/** All elements of a fixture's tensors, as F32, by name. */
async function values(model: string): Promise<Map<string, Float32Array>> {
  const file = await openModelFile(fixture(model));
  const result = new Map<string, Float32Array>();
  for (const { name, dtype, offset, byteLength, source } of file.tensors.values()) {
    const { buffer } = (await source.read(offset, byteLength)).slice();
    const bits = () => new Uint16Array(buffer);
    result.set(
      name,
      dtype === "f32" ? new Float32Array(buffer) : dtype === "f16" ? f16ToF32(bits()) : bf16ToF32(bits()),
    );
  }
  file.close();
  return result;
}

Deno.test("shards hold the same tensors as one file", async () => {
  const [whole, sharded] = [await values("llama-gqa"), await values("llama-gqa-sharded")];
  assertEquals(new Set(sharded.keys()), new Set(whole.keys()));
  for (const [name, expected] of whole) assertEquals(sharded.get(name), expected, name);
});

Deno.test("half-precision files hold the F32 file's values, rounded", async () => {
  const whole = await values("llama-gqa");
  for (const [model, step] of [["llama-gqa-f16", 2 ** -11], ["llama-gqa-bf16", 2 ** -8]] as const) {
    for (const [name, rounded] of await values(model)) {
      const exact = whole.get(name)!;
      assert(rounded.every((v, i) => Math.abs(v - exact[i]) <= step * Math.abs(exact[i]) + 2 ** -24), name);
    }
  }
});

Deno.test("a bare safetensors file takes what lies beside it", async () => {
  const file = await openModelFile(fixture("llama/model.safetensors"));
  assertEquals(file.config?.["model_type"], "llama");
  file.close();
  await withFolder({ "w.safetensors": buildSafetensors({ w: WEIGHT }, { format: "pt" }) }, async (folder) => {
    const file = await openModelFile(new URL(`file://${folder}/w.safetensors`));
    assertEquals([file.config, file.tensors.size, { ...file.metadata }], [undefined, 1, { format: "pt" }]);
    file.close();
  });
});

Deno.test("a shard stands for all the shards of its index", async () => {
  const file = await openModelFile(fixture("llama-gqa-sharded/model-00002-of-00002.safetensors"));
  assertEquals(file.tensors.size, 20);
  file.close();
});

Deno.test("the format is told by the content, whatever the name and kind", async () => {
  const gguf = buildGguf({ tensors: [{ name: "w", dtype: "f32", shape: [2], data: WEIGHT.data }] });
  const safetensors = buildSafetensors({ w: WEIGHT });
  await withFolder({ "a.bin": gguf, "b.gguf": safetensors }, async (folder) => {
    for (
      const [source, format] of [
        [gguf, "gguf"],
        [safetensors, "safetensors"],
        [gguf.buffer, "gguf"],
        [new Blob([safetensors]), "safetensors"],
        [new Blob([gguf]).stream(), "gguf"],
        [`${folder}/a.bin`, "gguf"],
        [`${folder}/b.gguf`, "safetensors"],
      ] as const
    ) {
      const file = await openModelFile(source);
      assertEquals([file.format, file.tensors.get("w")?.shape], [format, [2]]);
      assertEquals(file.bytes, format === "gguf" ? gguf.length : safetensors.length);
      file.close();
    }
  });
});

Deno.test("the tokenizer and the template are read when they are asked for", async () => {
  await withFolder({
    "config.json": '{"model_type":"llama"}',
    "model.safetensors": buildSafetensors({ w: WEIGHT }),
    "tokenizer.json": '{"version":"1.0"}',
    "tokenizer_config.json": "{broken",
    "chat_template.jinja": "{{ messages }}",
  }, async (folder) => {
    const file = await openModelFile(folder);
    assertEquals(await file.tokenizerJson?.(), { version: "1.0" });
    assertEquals(await file.chatTemplate?.(), "{{ messages }}");
    const error = await assertRejects(() => file.tokenizerConfig!(), InvalidFileError, "not JSON");
    assertEquals(error.file, `${folder}/tokenizer_config.json`);
    file.close();
  });
});

const CONFIG = '{"model_type":"llama"}';
const sharded = (weightMap: unknown) => ({
  "config.json": CONFIG,
  "model.safetensors.index.json": JSON.stringify({ weight_map: weightMap }),
  "a.safetensors": buildSafetensors({ w: WEIGHT }),
  "b.safetensors": buildSafetensors({ x: OTHER }),
});

/** What is wrong, the folder, and what the error says. */
const DAMAGED: readonly [string, Record<string, string | Uint8Array>, string][] = [
  ["no config.json", { "model.safetensors": buildSafetensors({ w: WEIGHT }) }, "there is no config.json"],
  ["no weights", { "config.json": CONFIG }, "neither model.safetensors nor model.safetensors.index.json"],
  ["a config that is a list", { ...sharded({ w: "a.safetensors" }), "config.json": "[]" }, "not an object"],
  ["a config that is broken", { ...sharded({ w: "a.safetensors" }), "config.json": "{" }, "not JSON"],
  [
    "a config that is not UTF-8",
    { ...sharded({}), "config.json": Uint8Array.of(0x7b, 0xff, 0x7d) },
    "not UTF-8",
  ],
  ["a broken generation config", { ...sharded({}), "generation_config.json": "null" }, "not an object"],
  ["an index without a map", sharded(undefined), "no weight_map"],
  ["an index whose map is a list", sharded([]), "no weight_map"],
  ["an index with a number for a file", sharded({ w: 1 }), '"w": the index gives no file'],
  ["an index that lacks its shard", sharded({ w: "c.safetensors" }), "c.safetensors: there is no such file"],
  ["an index that names the wrong shard", sharded({ w: "b.safetensors" }), "in b.safetensors, and it is not"],
  ["an index that is broken", { ...sharded({}), "model.safetensors.index.json": "{" }, "not JSON"],
  ...["../a.safetensors", "x/a.safetensors", "/etc/passwd", "..", ".", "", "..\\a", "C:a", "a\0"].map((
    name,
  ) =>
    [
      `an index that names ${JSON.stringify(name)}`,
      sharded({ w: name }),
      "is not the name of a file in the same folder",
    ] as [string, Record<string, string | Uint8Array>, string]
  ),
];

for (const [what, files, message] of DAMAGED) {
  Deno.test(`refuses a folder with ${what}`, async () => {
    await withFolder(
      files,
      (folder) => assertRejects(() => openModelFile(folder), InvalidFileError, message),
    );
  });
}

Deno.test("an index takes from each shard what it names there", async () => {
  await withFolder(sharded({ x: "b.safetensors", w: "a.safetensors" }), async (folder) => {
    const file = await openModelFile(folder);
    assertEquals([...file.tensors.keys()], ["x", "w"]);
    assertEquals([...file.tensors.values()].map((t) => t.source.name), [
      `${folder}/b.safetensors`,
      `${folder}/a.safetensors`,
    ]);
    file.close();
  });
});

Deno.test("files that are no models are told apart", async () => {
  const text = (content: string) => new TextEncoder().encode(content);
  for (
    const [content, message] of [
      ["", "is empty"],
      ["GG", "neither GGUF nor safetensors"],
      ["version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"],
      ["<!DOCTYPE html><html></html>", "web page"],
      ["PK\x03\x04 archive/data.pkl", "PyTorch"],
      ["tjgg\x03\0\0\0", "from before GGUF"],
      ["plain text that is long enough", "neither GGUF nor safetensors"],
    ]
  ) await assertRejects(() => openModelFile(text(content)), InvalidFileError, message);
  await assertRejects(() => openModelFile("no/such/model"), InvalidFileError, "there is no such file");
});

Deno.test("a model is never half open: files are closed where one is damaged", async () => {
  // The test runner fails a test that leaks an open file.
  const bytes = {
    "a.gguf": buildGguf({ version: 9 }),
    "b.safetensors": new Uint8Array(9).fill(0x7b),
    "c": new Uint8Array(40),
  };
  await withFolder(bytes, async (folder) => {
    for (const name of Object.keys(bytes)) {
      await assertRejects(() => openModelFile(`${folder}/${name}`), InvalidFileError);
    }
  });
  const dtype = { w: { dtype: "F8_E4M3", shape: [1], data: new Uint8Array(8) } };
  await withFolder(
    { "config.json": CONFIG, "model.safetensors": buildSafetensors(dtype) },
    (folder) =>
      assertRejects(
        () => openModelFile(folder),
        UnknownDTypeError,
        `${folder}/model.safetensors, tensor "w"`,
      ),
  );
});

Deno.test("a missing permission is named", { permissions: { read: false } }, async () => {
  await assertRejects(() => openModelFile("model.gguf"), PermissionError, "reading model.gguf");
});

Deno.test("a folder or file is read over HTTP with what lies beside it", async () => {
  const files: Record<string, string | Uint8Array<ArrayBuffer>> = {
    "config.json": CONFIG,
    "model.safetensors": buildSafetensors({ w: WEIGHT }),
    "tokenizer.json": '{"version":"1.0"}',
  };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const content = files[new URL(request.url).pathname.slice(1)];
    return content === undefined ? new Response("no", { status: 404 }) : new Response(content);
  });
  const base = `http://127.0.0.1:${server.addr.port}/`;
  for (const url of [base, `${base}model.safetensors?download=true`]) {
    const file = await openModelFile(url);
    assertEquals([file.config?.["model_type"], file.tensors.size, file.generationConfig], [
      "llama",
      1,
      undefined,
    ]);
    assertEquals(await file.tokenizerJson?.(), { version: "1.0" });
    file.close();
  }
  await assertRejects(() => openModelFile(`${base}none.gguf`), LLMForgeError, "answered 404");
  await server.shutdown();
});
