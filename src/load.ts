/**
 * Loads a model: opens the file, reads its configuration, chooses a backend, plans the memory, streams the weights.
 *
 * @module
 */
import type { Backend } from "./backends/backend.ts";
import { type BackendChoice, selectBackend, type Selection } from "./backends/select.ts";
import { InvalidArgumentError, OutOfMemoryError } from "./errors.ts";
import type { ModelFile } from "./formats/model_file.ts";
import { openModelFile } from "./formats/open.ts";
import type { SourceLike } from "./formats/source.ts";
import { cacheBytes, Decoder } from "./generate/decoder.ts";
import { describeModel, type ModelDescription } from "./models/describe.ts";
import { Model } from "./model.ts";
import { modelTokenizer, samplingDefaults } from "./model_files.ts";
import { type LocatedWeight, locateWeights, uploadWeights } from "./weights.ts";

/** Options of `load`. */
export interface LoadOptions {
  /** Backend by name, or the best that the machine has. Default: `"auto"`. */
  backend?: BackendChoice;
  /** Threads that compute. Default: 1. */
  threads?: number;
  /** Longest sequence, in tokens. Default: the model's own, made shorter where its cache would not fit. */
  contextLength?: number;
  /** Element type of the KV cache; `auto` is F32 for F32 weights, else F16. Default: `"auto"`. */
  kv?: "auto" | "f32" | "f16";
  /** Leaves the tokenizer unprepared until the first text, for callers that work with token ids. Default: `false`. */
  lazyTokenizer?: boolean;
  /** Ends the loading. */
  signal?: AbortSignal;
  /** Told of the bytes read so far. */
  onProgress?: (progress: { loaded: number; total: number }) => void;
}

/** Largest KV cache that a context of default length may take. */
const DEFAULT_CACHE_LIMIT = 2 ** 30;

/**
 * Loads a model from a path, URL, bytes, stream or blob; without a source, the small story model that is part of the
 * module.
 *
 * ```ts
 * import { load } from "@llmforge/llmforge";
 * await using model = await load();
 * for await (const chunk of model.generate("Once upon a time", { maxTokens: 8 })) console.log(chunk.text);
 * ```
 *
 * @throws {InvalidFileError} where the file is damaged.
 * @throws {InvalidConfigError} where its configuration is impossible.
 * @throws {BackendUnavailableError} where the backend cannot be used here.
 * @throws {OutOfMemoryError} where it does not fit; nothing was allocated then.
 */
export async function load(source?: SourceLike, options: LoadOptions = {}): Promise<Model> {
  return await loadOn(() => selectBackend(options.backend), source, options);
}

/** As `load`, on a backend of the caller's choice, which the model takes over. */
export async function loadOn(
  choose: () => Promise<Selection>,
  source?: SourceLike,
  options: LoadOptions = {},
): Promise<Model> {
  const { threads, signal } = options;
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1)) {
    throw new InvalidArgumentError(`threads must be a whole number of at least 1, not ${threads}`);
  }
  signal?.throwIfAborted();
  const file = await openModelFile(source ?? (await import("./models/embedded/mod.ts")).embeddedModel());
  try {
    const selection = await choose();
    try {
      return await assemble(file, source === undefined ? "stories" : file.name, selection, options);
    } catch (error) {
      selection.backend[Symbol.dispose]();
      throw error;
    }
  } finally {
    file.close();
  }
}

async function assemble(
  file: ModelFile,
  name: string,
  { backend, report }: Selection,
  options: LoadOptions,
): Promise<Model> {
  const description = await describeModel(file);
  const { architecture, config } = description;
  const located = locateWeights(file, architecture.weights(config));
  const { contextLength, cacheDType } = chooseCache(description, located, options);
  checkMemory(backend, located, cacheBytes(config, contextLength, cacheDType));
  const tokenizer = await modelTokenizer(file);
  const preparing = options.lazyTokenizer ? undefined : tokenizer?.prepare();
  // A failure is reported where it is awaited, after the weights.
  preparing?.catch(() => undefined);
  const weights = await uploadWeights(backend, located, options);
  try {
    const decoder = await Decoder.create({
      backend,
      architecture,
      config,
      weights,
      contextLength,
      cacheDType,
    });
    await preparing;
    return new Model({
      name,
      backend,
      report,
      decoder,
      config,
      weights,
      tokenizer,
      defaults: samplingDefaults(file),
    });
  } catch (error) {
    for (const handle of weights.values()) backend.freeWeight(handle);
    throw error;
  }
}

/** Element type and length of the KV cache. */
export function chooseCache(
  { config }: ModelDescription,
  weights: readonly LocatedWeight[],
  options: Pick<LoadOptions, "kv" | "contextLength">,
): { contextLength: number; cacheDType: "f32" | "f16" } {
  const exact = weights.every(({ spec }) => spec.dtype === "f32");
  const cacheDType = options.kv === undefined || options.kv === "auto" ? (exact ? "f32" : "f16") : options.kv;
  const { contextLength: wanted } = options;
  if (wanted !== undefined && (!Number.isInteger(wanted) || wanted < 1)) {
    throw new InvalidArgumentError(`contextLength must be a whole number of at least 1, not ${wanted}`);
  }
  if (wanted !== undefined && wanted > config.contextLength) {
    throw new InvalidArgumentError(
      `contextLength ${wanted} is more than the ${config.contextLength} tokens the model was made for`,
    );
  }
  let contextLength = wanted ?? config.contextLength;
  while (wanted === undefined && cacheBytes(config, contextLength, cacheDType) > DEFAULT_CACHE_LIMIT) {
    contextLength = Math.ceil(contextLength / 2);
  }
  return { contextLength, cacheDType };
}

function checkMemory(backend: Backend, weights: readonly LocatedWeight[], cache: number): void {
  const required = weights.reduce((sum, { spec }) => sum + backend.weightBytes(spec), cache);
  const available = backend.memory.limit - backend.memory.used;
  if (required > available) throw new OutOfMemoryError({ required, available, what: "weights and KV cache" });
}
