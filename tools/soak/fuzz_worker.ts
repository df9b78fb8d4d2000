/**
 * Opens damaged files, in a worker, so that one which hangs can be told: the seed in work is in shared memory.
 *
 * @module
 */
import { LLMForgeError } from "../../src/errors.ts";
import { crc32 } from "../../src/formats/crc32.ts";
import { entryOffset, SECTIONS, START_BYTES, START_CRC_OFFSET } from "../../src/formats/forge_layout.ts";
import type { ModelFile } from "../../src/formats/model_file.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { load } from "../../src/load.ts";
import { modelTokenizer } from "../../src/model_files.ts";
import { describeModel } from "../../src/models/describe.ts";
import { uniform } from "../../src/sampling/random.ts";
import { huggingFaceTokenizer } from "../../src/tokenizer/hugging_face.ts";
import { locateWeights } from "../../src/weights.ts";

/** How far a damaged file is followed. */
export type Depth = "open" | "describe" | "load" | "tokenizer.json" | "config.json";

/** What the worker is told. */
export interface FuzzTask {
  /** A sound file. */
  readonly sound: Uint8Array<ArrayBuffer>;
  /** Bytes at the start in which most damage is done. */
  readonly header: number;
  /** How far to follow it. */
  readonly depth: Depth;
  /** Number of damaged files. */
  readonly cases: number;
  /** Element 0: the seed in work. */
  readonly seed: Int32Array;
}

/** What it answers: how many files were still valid, or what went wrong. */
export type FuzzAnswer = { readonly valid: number } | { readonly failed: string };

/** Whole number in [0, limit) for a seed and a draw. */
const pick = (seed: number, draw: number, limit: number): number => Math.floor(uniform(seed, draw) * limit);

/** Bytes that numbers are damaged to. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff];

/** A few bytes changed, or the end cut off; checksums of the own format made right again, mostly. */
function mutate(sound: Uint8Array<ArrayBuffer>, header: number, seed: number): Uint8Array<ArrayBuffer> {
  if (pick(seed, 0, 8) === 0) return sound.slice(0, pick(seed, 1, sound.length));
  const bytes = sound.slice();
  const within = pick(seed, 2, 8) === 0 ? sound.length : header;
  for (let i = 0; i <= pick(seed, 3, 4); i++) {
    const value = pick(seed, 30 + i, 2) === 0
      ? pick(seed, 20 + i, 256)
      : EXTREMES[pick(seed, 20 + i, EXTREMES.length)];
    bytes[pick(seed, 10 + i, within)] = value;
  }
  if (bytes[0] === 0x46 && pick(seed, 4, 4) > 0) seal(bytes);
  return bytes;
}

/** Makes the checksums of a forge file's sections and start right. */
function seal(bytes: Uint8Array<ArrayBuffer>): void {
  if (bytes.length < START_BYTES) return;
  const view = new DataView(bytes.buffer);
  for (const section of SECTIONS.filter((name) => name !== "data")) {
    const at = entryOffset(section);
    const [from, length] = [Number(view.getBigUint64(at, true)), Number(view.getBigUint64(at + 8, true))];
    view.setUint32(at + 16, crc32(bytes.subarray(from, from + length)), true);
  }
  view.setUint32(START_CRC_OFFSET, crc32(bytes.subarray(0, START_CRC_OFFSET)), true);
}

/** What a damaged JSON file may hold in place of anything. */
const VALUES = [null, true, -1, 1e308, 2 ** 30, 1000, 0.5, "", "\0", "x".repeat(50), [], [[]], {}, {
  type: "ByteLevel",
}];

/** A JSON document with one or two of its values replaced. */
function mutateJson(text: string, seed: number): unknown {
  const root = JSON.parse(text);
  for (let i = 0; i <= pick(seed, 0, 2); i++) {
    let place = root;
    for (let depth = 0; depth < 12; depth++) {
      const keys = Object.keys(place);
      if (keys.length === 0) break;
      const key = keys[pick(seed, 100 * i + depth, keys.length)];
      const child = place[key];
      if (typeof child !== "object" || child === null || pick(seed, 100 * i + 50 + depth, 3) === 0) {
        place[key] = structuredClone(VALUES[pick(seed, 100 * i + 99, VALUES.length)]);
        break;
      }
      place = child;
    }
  }
  return root;
}

/** A model of which only the configuration is looked at. */
const NO_TENSORS: ModelFile = {
  format: "safetensors",
  naming: "hugging_face",
  name: "config.json",
  bytes: 0,
  metadata: {},
  tensors: new Map(),
  close: () => undefined,
};

const TEXT = "Once upon a time <|endoftext|> naïve 123";

async function useTokenizer(file: ModelFile, deep: boolean): Promise<void> {
  const tokenizer = await modelTokenizer(file);
  if (!tokenizer || !deep) return;
  await tokenizer.prepare();
  tokenizer.decode(tokenizer.encode(TEXT));
}

async function one({ sound, header, depth }: FuzzTask, seed: number): Promise<void> {
  if (depth === "tokenizer.json") {
    const tokenizer = huggingFaceTokenizer(mutateJson(new TextDecoder().decode(sound), seed));
    await tokenizer.prepare();
    tokenizer.decode(tokenizer.encode(TEXT));
    return;
  }
  if (depth === "config.json") {
    const config = mutateJson(new TextDecoder().decode(sound), seed) as Record<string, unknown>;
    const description = await describeModel({ ...NO_TENSORS, config });
    description.architecture.weights(description.config);
    return;
  }
  const bytes = mutate(sound, header, seed);
  if (depth === "load") {
    await using model = await load(bytes, { backend: "wasm", contextLength: 32 });
    await model.logits([1, 2]);
    return;
  }
  const file = await openModelFile(bytes);
  try {
    if (depth === "open") return await file.verify?.();
    const { architecture, config } = await describeModel(file);
    locateWeights(file, architecture.weights(config));
    await useTokenizer(file, seed % 4 === 0);
  } finally {
    file.close();
  }
}

async function all(task: FuzzTask): Promise<FuzzAnswer> {
  let valid = 0;
  for (let seed = 0; seed < task.cases; seed++) {
    Atomics.store(task.seed, 0, seed);
    try {
      await one(task, seed);
      valid++;
    } catch (error) {
      if (error instanceof LLMForgeError) continue;
      return { failed: `seed ${seed}: ${error instanceof Error ? error.stack : error}` };
    }
  }
  return { valid };
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<FuzzTask>) => void) | null;
  postMessage(message: FuzzAnswer): void;
  close(): void;
}

const scope = self as unknown as WorkerScope;
scope.onmessage = async ({ data }) => {
  scope.postMessage(await all(data));
  scope.close();
};
