/**
 * The decoder goldens: tiny models, and what the reference implementation gave for them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { load } from "../../src/load.ts";

/** Where the models are. */
export const MODELS: URL = new URL("../fixtures/models/", import.meta.url);

/** The decoders among the models, by name. */
export const DECODER_NAMES: readonly string[] = Array.from(Deno.readDirSync(MODELS))
  .filter(({ name, isDirectory }) => isDirectory && kindOf(name) === "causal")
  .map(({ name }) => name)
  .sort();

/** WebGPU takes about a second for each, so it has one decoder of each kind; the other backends have all. */
export const ON_WEBGPU: readonly string[] = [
  "llama",
  "llama-gqa-bf16",
  "llama-gqa-f16",
  "llama3-rope",
  "gpt2",
  "gemma2",
  "bloom",
];

function kindOf(name: string): string {
  return JSON.parse(Deno.readTextFileSync(new URL(`${name}/golden.json`, MODELS))).kind;
}

/** What the reference gave for a model. */
export interface Golden {
  prompts: { input_ids: number[]; logits_last: number[]; greedy: { new_tokens: number[] } }[];
}

/** Reads the golden of a model. */
export async function readGolden(name: string): Promise<Golden> {
  return JSON.parse(await Deno.readTextFile(new URL(`${name}/golden.json`, MODELS)));
}

/** Loads a model and compares logits (to 1e-4) and greedy ids with those of the reference. */
export async function assertGolden(source: string | URL, { prompts }: Golden): Promise<void> {
  await using model = await load(source, { backend: "wasm", kv: "f32" });
  for (const { input_ids, logits_last, greedy } of prompts) {
    const logits = await model.logits(input_ids);
    const difference = logits_last.reduce((max, x, i) => Math.max(max, Math.abs(x - logits[i])), 0);
    assert(difference <= 1e-4, `logits differ by ${difference}`);
    const generation = model.generate(input_ids, { maxTokens: 24, temperature: 0, ignoreEos: true });
    assertEquals((await generation.stats()).ids, greedy.new_tokens);
  }
}

/** Runs with a folder that is taken away afterwards. */
export async function withFolder<T>(use: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempDir();
  try {
    return await use(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}
