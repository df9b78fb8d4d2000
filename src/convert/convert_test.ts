/** Conversions: nothing is lost on the way round, dtypes are chosen by rule, and a failure leaves no trace. @module */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { assertGolden, MODELS, readGolden, withFolder } from "../../tests/support/goldens.ts";
import { sharedUrl, testWithShared } from "../../tests/support/shared.ts";
import { smallTokenizer } from "../../tests/support/small_tokenizer.ts";
import { DTypeError, InvalidArgumentError, InvalidFileError, UnsupportedModelError } from "../errors.ts";
import { crc32 } from "../formats/crc32.ts";
import { openModelFile } from "../formats/open.ts";
import { load } from "../load.ts";
import { modelTokenizer } from "../model_files.ts";
import { embeddedModel } from "../models/embedded/mod.ts";
import { convert, convertFile } from "./convert.ts";

const STORIES = new URL("../stories/", MODELS);
const TEXTS = [
  "Once upon a time, there was a little girl.",
  "  two spaces, 12345 digits\n\tand a tab",
  "naïve — 東京 🙂 <|endoftext|>",
  "I'm don't we'll\r\n\r\n  x",
];

async function open<T>(
  source: string | URL | Uint8Array,
  use: (file: Awaited<ReturnType<typeof openModelFile>>) => Promise<T>,
): Promise<T> {
  const file = await openModelFile(source);
  try {
    return await use(file);
  } finally {
    file.close();
  }
}

/** Name, dtype, shape and checksum of every tensor. */
const tensorsOf = (source: string | URL | Uint8Array): Promise<string[]> =>
  open(source, async ({ tensors }) => {
    const lines = await Promise.all(
      [...tensors.values()].map(async ({ name, dtype, shape, source, offset, byteLength }) =>
        `${name} ${dtype} [${shape}] ${crc32(await source.read(offset, byteLength))}`
      ),
    );
    return lines.sort();
  });

const idsOf = (source: string | URL | Uint8Array): Promise<number[][]> =>
  open(source, async (file) => {
    const tokenizer = await modelTokenizer(file);
    assert(tokenizer);
    await tokenizer.prepare();
    return TEXTS.flatMap((text) =>
      [false, true].map((parseSpecial) => tokenizer.encode(text, { parseSpecial }))
    );
  });

/** GGUF to forge to safetensors to GGUF: every tensor and every token id must be what it was. */
async function roundTrip(source: string | URL | Uint8Array): Promise<void> {
  await withFolder(async (folder) => {
    const [forge, safetensors, gguf] = [`${folder}/a.forge`, `${folder}/b`, `${folder}/c.gguf`];
    await convert(source, forge);
    await open(forge, async (file) => await file.verify?.());
    await convert(forge, safetensors);
    await convert(safetensors, gguf);
    const before = await tensorsOf(source);
    assertEquals(await tensorsOf(forge), before);
    assertEquals(await tensorsOf(gguf), before);
    const ids = await idsOf(source);
    for (const path of [forge, safetensors, gguf]) assertEquals(await idsOf(path), ids);
  });
}

Deno.test("round trip of the built-in model", () => roundTrip(embeddedModel()));

Deno.test("round trip of quantized models of every kind, transposed ones too", async () => {
  for (const [name, quantize] of [["gpt2", "q4_1"], ["llama-gqa", "q5_0"], ["phi", "q8_0"]] as const) {
    await withFolder(async (folder) => {
      const path = `${folder}/q.gguf`;
      await open(new URL(`${name}/`, MODELS), (file) => {
        const tokenizerJson = () => Promise.resolve(smallTokenizer(Number(file.config?.vocab_size)));
        return convertFile({ ...file, tokenizerJson }, path, { quantize });
      });
      await roundTrip(path);
    });
  }
});

testWithShared(
  "round trip of SmolLM2",
  ["models/smollm2-135m-instruct-q4_1.gguf"],
  () => roundTrip(sharedUrl("models/smollm2-135m-instruct-q4_1.gguf")),
);

Deno.test("a tokenizer.json is the same in GGUF, by its own key and by the vocabulary alone", () =>
  withFolder(async (folder) => {
    // The tokenizer of the stories with the shape of a tiny model: its ids alone are looked at.
    const path = `${folder}/t.gguf`;
    await open(new URL("llama/", MODELS), async (file) => {
      const json = JSON.parse(await Deno.readTextFile(new URL("tokenizer.json", STORIES)));
      const settings = JSON.parse(await Deno.readTextFile(new URL("tokenizer_config.json", STORIES)));
      const parts = {
        tokenizerJson: () => Promise.resolve(json),
        tokenizerConfig: () => Promise.resolve(settings),
      };
      const config = { ...file.config, vocab_size: 2048, tie_word_embeddings: true };
      const embedding = file.tensors.get("model.embed_tokens.weight");
      assert(embedding);
      const data = new Uint8Array(4 * 2048 * 64);
      const source = {
        name: "zeros",
        size: data.length,
        read: (at: number, n: number) => Promise.resolve(data.subarray(at, at + n)),
        close() {},
      };
      const tensors = new Map(file.tensors);
      tensors.delete("lm_head.weight");
      tensors.set(embedding.name, {
        ...embedding,
        shape: [2048, 64],
        byteLength: data.length,
        offset: 0,
        source,
      });
      await convertFile({ ...file, ...parts, config, tensors }, path);
      const ids = await idsOf(path);
      await open(path, async (gguf) => {
        const { "tokenizer.huggingface.json": _json, ...metadata } = gguf.metadata;
        const tokenizer = await modelTokenizer({ ...gguf, metadata });
        await tokenizer?.prepare();
        assertEquals(
          TEXTS.flatMap((text) =>
            [false, true].map((parseSpecial) => tokenizer?.encode(text, { parseSpecial }))
          ),
          ids,
        );
      });
    });
  }));

Deno.test("quantized: matrices by rule, vectors stay, rows that do not fit get another dtype and are told", () =>
  withFolder(async (folder) => {
    const path = `${folder}/q.gguf`;
    const { fallbacks } = await convert(new URL("llama/", MODELS), path, { quantize: "q4_0" });
    const dtypes = await open(
      path,
      (file) =>
        Promise.resolve(
          Object.fromEntries([...file.tensors.values()].map(({ name, dtype }) => [name, dtype])),
        ),
    );
    assertEquals(dtypes["blk.0.attn_q.weight"], "q4_0");
    assertEquals(dtypes["token_embd.weight"], "q4_0");
    assertEquals(dtypes["output.weight"], "q8_0");
    assertEquals(dtypes["blk.0.attn_norm.weight"], "f32");
    // 48 columns are no whole blocks of 32.
    assertEquals(dtypes["blk.0.ffn_down.weight"], "f16");
    assertEquals(
      fallbacks,
      [0, 1].map((layer) => ({ tensor: `blk.${layer}.ffn_down.weight`, dtype: "f16" })),
    );
    await using model = await load(path, { backend: "wasm" });
    assertEquals((await model.logits([1, 2, 3])).length, 320);
  }));

Deno.test("quantized while loading is the same as quantized in a file", async () => {
  for (const quantize of ["q8_0", "q4_1", "q5_k", "f16"] as const) {
    await withFolder(async (folder) => {
      const source = new URL("llama-gqa/", MODELS);
      await convert(source, `${folder}/m`, { quantize });
      const logits = async (from: string | URL, options = {}) => {
        await using model = await load(from, { backend: "wasm", kv: "f32", ...options });
        return await model.logits([5, 17, 200]);
      };
      const [plain, loaded, stored] = [
        await logits(source),
        await logits(source, { quantize }),
        await logits(`${folder}/m`),
      ];
      assertEquals(loaded, stored);
      assert(loaded.some((logit, i) => logit !== plain[i]), "nothing was quantized");
    });
  }
});

Deno.test("safetensors in shards with an index, and as one file with what belongs to it", () =>
  withFolder(async (folder) => {
    const golden = await readGolden("llama-gqa");
    const source = new URL("llama-gqa/", MODELS);
    await convert(source, `${folder}/sharded`, { to: "safetensors", shardBytes: 100_000 });
    const names = Array.from(Deno.readDirSync(`${folder}/sharded`), ({ name }) => name).sort();
    assert(names.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name)).length > 1);
    assert(names.includes("model.safetensors.index.json") && names.includes("config.json"));
    await assertGolden(`${folder}/sharded`, golden);
    const twice = () => convert(source, `${folder}/sharded`);
    await assertRejects(twice, InvalidFileError, "there is a model in the folder already");
    await Deno.mkdir(`${folder}/one`);
    await convert(source, `${folder}/one/x.safetensors`);
    await assertGolden(`${folder}/one/x.safetensors`, golden);
    const again = () => convert(source, `${folder}/one/y.safetensors`);
    await assertRejects(again, InvalidFileError, "a folder of its own");
  }));

Deno.test("the pooling of a sentence embedder goes along", () =>
  withFolder(async (folder) => {
    const pooling = { word_embedding_dimension: 32, pooling_mode_cls_token: true };
    const [source, forge, again] = [`${folder}/source`, `${folder}/m.forge`, `${folder}/again`];
    await Deno.mkdir(`${source}/1_Pooling`, { recursive: true });
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(new URL(`bert/${name}`, MODELS), `${source}/${name}`);
    }
    await Deno.writeTextFile(`${source}/1_Pooling/config.json`, JSON.stringify(pooling));
    await convert(source, forge);
    await convert(forge, again);
    for (const path of [forge, again]) {
      await open(path, (file) => {
        assertEquals(file.poolingConfig, pooling);
        return Promise.resolve();
      });
    }
    await convert(source, `${folder}/m.gguf`);
    await open(`${folder}/m.gguf`, (file) => {
      assertEquals(file.metadata["bert.pooling_type"], 2);
      return Promise.resolve();
    });
  }));

Deno.test("a conversion that ends early leaves nothing, and what was there stays", () =>
  withFolder(async (folder) => {
    const path = `${folder}/m.gguf`;
    await Deno.writeTextFile(path, "mine");
    const abort = new AbortController();
    const onProgress = () => abort.abort();
    await assertRejects(() => convert(new URL("llama/", MODELS), path, { signal: abort.signal, onProgress }));
    assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["m.gguf"]);
    assertEquals(await Deno.readTextFile(path), "mine");
  }));

Deno.test("what cannot be converted is a typed error", () =>
  withFolder(async (folder) => {
    const source = new URL("llama/", MODELS);
    await assertRejects(() => convert(source, ""), InvalidArgumentError);
    await assertRejects(
      () => convert(source, `${folder}/x.gguf`, { quantize: "q9" as "q8_0" }),
      DTypeError,
      "q9",
    );
    await assertRejects(() => convert(source, folder, { to: "gguf" }), InvalidFileError, "folder");
    await open(new URL("falcon/", MODELS), async (file) => {
      const alibi = { ...file, config: { ...file.config, alibi: true } };
      await assertRejects(() => convertFile(alibi, `${folder}/f.gguf`), UnsupportedModelError, "alibi");
    });
    assertEquals([...Deno.readDirSync(folder)], []);
  }));
