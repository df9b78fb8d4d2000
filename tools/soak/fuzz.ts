/**
 * Damaged files of every format: each must end in a typed error or be valid, in time and in bounded memory.
 *
 * @module
 */
import { convert, convertFile } from "../../src/convert/convert.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { buildGguf } from "../../tests/support/build_gguf.ts";
import { buildSafetensors } from "../../tests/support/build_safetensors.ts";
import { MODELS, withFolder } from "../../tests/support/goldens.ts";
import { smallTokenizer } from "../../tests/support/small_tokenizer.ts";
import type { Depth, FuzzAnswer, FuzzTask } from "./fuzz_worker.ts";

/** A case that takes longer hangs. */
const CASE_LIMIT_MS = 10_000;
/** The process may grow by this much. */
const MEMORY_LIMIT = 1 << 30;

/** A kind of files to damage. */
export interface FuzzKind {
  /** What it is. */
  readonly name: string;
  /** A sound file. */
  readonly sound: Uint8Array<ArrayBuffer>;
  /** Bytes before the tensors. */
  readonly header: number;
  /** How far damaged ones are followed. */
  readonly depth: Depth;
  /** Part of the full number of cases. */
  readonly share: number;
}

/** All kinds: small files by the thousand, real small models less often, loading them least. */
export function fuzzKinds(): Promise<FuzzKind[]> {
  const data = new Float32Array(64).fill(0.5);
  const small = buildGguf({
    metadata: { "general.architecture": "llama", "llama.block_count": 2, words: ["a", "b", "c"] },
    tensors: [
      { name: "x", dtype: "q8_0", shape: [2, 32], data },
      { name: "y", dtype: "f32", shape: [64], data },
    ],
  });
  const plain = buildSafetensors({ x: { dtype: "F32", shape: [8, 8], data } });
  return withFolder(async (folder) => {
    const read = async (file: string): Promise<Uint8Array<ArrayBuffer>> =>
      await Deno.readFile(`${folder}/${file}`);
    await Deno.writeFile(`${folder}/small.gguf`, small);
    await convert(`${folder}/small.gguf`, `${folder}/small.forge`);
    const source = new URL("llama-gqa/", MODELS);
    const file = await openModelFile(source);
    const tokenizerJson = () => Promise.resolve(smallTokenizer(320));
    await convertFile({ ...file, tokenizerJson }, `${folder}/model.gguf`, { quantize: "q8_0" });
    await convertFile({ ...file, tokenizerJson }, `${folder}/model.forge`);
    await convertFile(file, `${folder}/model.safetensors`, { quantize: "q4_0" });
    file.close();
    const kinds: [string, Uint8Array<ArrayBuffer>, Depth, number][] = [
      ["GGUF", small, "open", 1],
      ["safetensors", plain, "open", 1],
      ["forge", await read("small.forge"), "open", 1],
      ["a model in GGUF", await read("model.gguf"), "describe", 1 / 10],
      ["a model in forge", await read("model.forge"), "describe", 1 / 10],
      ["a quantized model in safetensors", await read("model.safetensors"), "open", 1 / 10],
      [
        "a tokenizer.json",
        new TextEncoder().encode(JSON.stringify(smallTokenizer(300))),
        "tokenizer.json",
        1 / 10,
      ],
      ["a config.json", await config("gemma3"), "config.json", 1 / 10],
      ["a config.json of experts", await config("qwen2_moe"), "config.json", 1 / 10],
      ["a model in GGUF, loaded", await read("model.gguf"), "load", 1 / 200],
      ["a model in forge, loaded", await read("model.forge"), "load", 1 / 200],
    ];
    return await Promise.all(kinds.map(async ([name, sound, depth, share]) => ({
      name,
      sound,
      depth,
      share,
      header: depth.endsWith(".json") ? sound.length : await headerBytes(sound),
    })));
  });
}

const config = (model: string): Promise<Uint8Array<ArrayBuffer>> =>
  Deno.readFile(new URL(`${model}/config.json`, MODELS));

async function headerBytes(sound: Uint8Array<ArrayBuffer>): Promise<number> {
  const file = await openModelFile(sound);
  return Math.min(...[...file.tensors.values()].map(({ offset }) => offset));
}

/** Damages a file so many times; gives a line of what came of it, and throws where something went wrong. */
export async function fuzz({ sound, header, depth }: FuzzKind, cases: number): Promise<string> {
  const worker = new Worker(new URL("fuzz_worker.ts", import.meta.url), { type: "module" });
  const seed = new Int32Array(new SharedArrayBuffer(4));
  const task: FuzzTask = { sound, header, depth, cases, seed };
  const answer = Promise.withResolvers<FuzzAnswer>();
  worker.onmessage = ({ data }) => answer.resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    answer.resolve({ failed: `seed ${seed[0]}: ${event.message}` });
  };
  worker.postMessage(task);
  const guard = watch(seed, (failed) => answer.resolve({ failed }));
  const result = await answer.promise;
  clearInterval(guard);
  worker.terminate();
  if ("failed" in result) throw new Error(result.failed);
  return `${cases} damaged files, ${result.valid} still valid, all others a typed error`;
}

/** Looks every second whether the seed moves and memory stays in bounds. */
function watch(seed: Int32Array, fail: (why: string) => void): ReturnType<typeof setInterval> {
  const before = Deno.memoryUsage().rss;
  let last = -1;
  let since = performance.now();
  return setInterval(() => {
    const now = Atomics.load(seed, 0);
    if (now !== last) [last, since] = [now, performance.now()];
    if (performance.now() - since > CASE_LIMIT_MS) fail(`seed ${now} hangs`);
    const growth = Deno.memoryUsage().rss - before;
    if (growth > MEMORY_LIMIT) fail(`seed ${now}: memory grew by ${Math.round(growth / 2 ** 20)} MiB`);
  }, 1000);
}
