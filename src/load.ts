/**
 * Loads a model: opens the file, reads its configuration, chooses a backend, plans the memory, streams the weights.
 *
 * @module
 */
import type { Backend } from "./backends/backend.ts";
import { type BackendChoice, defaultThreads, selectBackend, type Selection } from "./backends/select.ts";
import { checkWhole } from "./check.ts";
import { InvalidArgumentError, OutOfMemoryError } from "./errors.ts";
import type { QuantKind } from "./convert/quant_kinds.ts";
import type { ModelFile } from "./formats/model_file.ts";
import { openModelFile } from "./formats/open.ts";
import type { SourceLike } from "./formats/source.ts";
import { CrossCache, crossCacheBytes } from "./generate/cross_cache.ts";
import { cacheBytes, Decoder, PREFILL_ROWS } from "./generate/decoder.ts";
import { Encoder } from "./generate/encoder.ts";
import { describeModel, type ModelDescription } from "./models/describe.ts";
import { Model } from "./model.ts";
import type { CacheDType } from "./nn/decoder.ts";
import type { Profile } from "./trace/profile.ts";
import { byteLength, wholeBlocks } from "./tensor/dtype.ts";
import { elementCount } from "./tensor/shape.ts";
import { forcedTokens, modelTokenizer, samplingDefaults } from "./model_files.ts";
import { type LocatedWeight, locateWeights, uploadWeights } from "./weights.ts";

/** Options of `load`. */
export interface LoadOptions {
  /** Backend by name, or the best that the machine has. Default: `"auto"`. */
  backend?: BackendChoice;
  /**
   * Threads that compute, where the backend has them, while the calling thread is free. Default: one for each core, 8 at
   * most; a model of less than 16 MiB is computed on the calling thread.
   */
  threads?: number;
  /** Longest sequence, in tokens. Default: the model's own, made shorter where its cache would not fit. */
  contextLength?: number;
  /**
   * Element type of the KV cache. `q16` is 16-bit integers with an F32 scale for every 64 channels: about the size of F16,
   * as near to F32 or nearer, and faster on CPUs. `q8` is GGUF's Q8_0: little more than half of
   * F16. `auto` is F32 for F32 weights; else Q16 where the backend has it and heads are a multiple of 64 wide, and F16
   * elsewhere. Default: `"auto"`.
   */
  kv?: "auto" | "f32" | "f16" | "q16" | "q8";
  /** The most sequences that are computed in one step, 1 to 128; others wait for their turn. Default: 64. */
  maxSequences?: number;
  /** How many more may wait; beyond that, `QueueFullError`. Default: 256. */
  maxQueue?: number;
  /** Quantizes matrices of F32, F16 and BF16 while they load; those that are quantized stay as they are. */
  quantize?: QuantKind;
  /**
   * Keeps what was computed for earlier generations, so that one which begins alike starts at once. It takes at most half
   * of the cache, and none that is needed otherwise. Default: `true`.
   */
  prefixCache?: boolean;
  /** Leaves the tokenizer unprepared until the first text, for callers that work with token ids. Default: `false`. */
  lazyTokenizer?: boolean;
  /** Where the times of every op go. Steps are then run op by op, on the calling thread. */
  profile?: Profile;
  /** Ends the loading. */
  signal?: AbortSignal;
  /** Told of the bytes read so far. */
  onProgress?: (progress: { loaded: number; total: number }) => void;
}

/** Largest KV cache that a context of default length may take. */
const DEFAULT_CACHE_LIMIT = 2 ** 30;
/** Largest KV cache that is made for more than one context. Memory is taken when a page is first written to. */
const SHARED_CACHE_LIMIT = 2 ** 29;
const DEFAULT_MAX_SEQUENCES = 64;
const DEFAULT_MAX_QUEUE = 256;

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
  const choose = ({ weightBytes }: Need): Promise<Selection> => {
    const threads = options.profile ? 0 : options.threads ?? threadsFor(weightBytes);
    return selectBackend(options.backend, { threads });
  };
  return await loadOn(choose, source, options);
}

/** What is known of a model before there is a backend. */
export interface Need {
  /** Bytes of all weights, as loaded. */
  readonly weightBytes: number;
}

/** Models of fewer bytes have made their first tokens before workers would have started. */
const SMALL_MODEL = 16 << 20;

function threadsFor(weightBytes: number): number {
  return weightBytes < SMALL_MODEL ? 0 : defaultThreads();
}

/** As `load`, on a backend of the caller's choice, which the model takes over. */
export async function loadOn(
  choose: (need: Need) => Promise<Selection>,
  source?: SourceLike,
  options: LoadOptions = {},
): Promise<Model> {
  const { threads, signal } = options;
  if (threads !== undefined) checkWhole("threads", threads, 1);
  signal?.throwIfAborted();
  const file = await openFile(source ?? (await import("./models/embedded/mod.ts")).embeddedModel(), signal);
  try {
    const description = await describeModel(file);
    const found = locateWeights(file, description.architecture.weights(description.config));
    const located = options.quantize === undefined
      ? found
      : (await import("./convert/quantize_weights.ts")).quantizeWeights(
        found,
        options.quantize,
        description.config.tiedHead,
      );
    const weightBytes = located.reduce(
      (sum, { spec }) => sum + byteLength(spec.dtype, elementCount(spec.shape)),
      0,
    );
    const selection = await choose({ weightBytes });
    try {
      const name = source === undefined ? "stories" : file.name;
      return await assemble({ file, name, description, located }, selection, options);
    } catch (error) {
      selection.backend[Symbol.dispose]();
      throw error;
    }
  } finally {
    file.close();
  }
}

/** As `openModelFile`; a stream, which is read to its end, is given up where the signal is aborted. */
async function openFile(source: SourceLike, signal?: AbortSignal): Promise<ModelFile> {
  try {
    return await openModelFile(
      signal && source instanceof ReadableStream
        ? source.pipeThrough(new TransformStream(), { signal })
        : source,
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** An open model whose weights have been found. */
interface Located {
  readonly file: ModelFile;
  readonly name: string;
  readonly description: ModelDescription;
  readonly located: readonly LocatedWeight[];
}

async function assemble(
  { file, name, description, located }: Located,
  { backend, report }: Selection,
  options: LoadOptions,
): Promise<Model> {
  const { architecture, config } = description;
  const { contextLength, cacheDType } = chooseCache(backend, description, located, options);
  const maxSequences = checkWhole(
    "maxSequences",
    options.maxSequences ?? DEFAULT_MAX_SEQUENCES,
    1,
    PREFILL_ROWS,
  );
  const maxQueue = checkWhole("maxQueue", options.maxQueue ?? DEFAULT_MAX_QUEUE, 0);
  const oneContext = cacheBytes(config, contextLength, cacheDType) +
    crossCacheBytes(config, contextLength, cacheDType);
  const rest = checkMemory(backend, located, oneContext);
  const contexts = Math.floor(Math.min(SHARED_CACHE_LIMIT, oneContext + rest / 2) / Math.max(oneContext, 1));
  const cacheTokens = contextLength * Math.min(Math.max(contexts, 1), maxSequences);
  const tokenizer = await modelTokenizer(file);
  const preparing = options.lazyTokenizer ? undefined : tokenizer?.prepare();
  // A failure is reported where it is awaited, after the weights.
  preparing?.catch(() => undefined);
  const weights = await uploadWeights(backend, located, options);
  try {
    const cross = config.kind === "encoder-decoder"
      ? new CrossCache(backend, config, { contextLength, cacheTokens, dtype: cacheDType })
      : undefined;
    const parts = { backend, architecture, config, weights, contextLength, cacheDType, cross };
    const decoder = config.kind === "encoder"
      ? undefined
      : await Decoder.create({ ...parts, cacheTokens, maxSequences, profile: options.profile });
    const encoder = new Encoder(parts);
    // An encoder's Program is compiled at once too, so that what the backend lacks is told now.
    if (config.kind !== "decoder") await encoder.prepare();
    await preparing;
    options.signal?.throwIfAborted();
    return new Model({
      name,
      backend,
      report,
      decoder,
      maxQueue,
      prefixPages: options.prefixCache === false || !decoder ? 0 : decoder.pool.size >> 1,
      encoder,
      cross,
      contextLength,
      config,
      weights,
      tokenizer,
      defaults: samplingDefaults(file),
      forced: config.kind === "encoder-decoder" ? forcedTokens(file, config.vocabSize) : undefined,
    });
  } catch (error) {
    for (const handle of weights.values()) backend.freeWeight(handle);
    throw error;
  }
}

/** Whether all that a cache is for works in Q16, without room that a head leaves empty. */
function takesQ16(backend: Pick<Backend, "supports">, headDim: number): boolean {
  return wholeBlocks("q16", headDim) === headDim &&
    backend.supports("writeKv", ["f32", "f32", "i32", "q16", "q16"]) &&
    backend.supports("pagedAttention", ["f32", "q16", "q16", "i32", "i32", "i32"]) &&
    backend.supports("ropeShift", ["f32", "i32", "q16"]);
}

/** Element type and length of the KV cache. */
export function chooseCache(
  backend: Pick<Backend, "supports">,
  { config }: ModelDescription,
  weights: readonly LocatedWeight[],
  options: Pick<LoadOptions, "kv" | "contextLength">,
): { contextLength: number; cacheDType: CacheDType } {
  const exact = weights.every(({ spec }) => spec.dtype === "f32");
  const { kv = "auto" } = options;
  const types: Readonly<Record<typeof kv, CacheDType>> = {
    auto: exact ? "f32" : takesQ16(backend, config.headDim) ? "q16" : "f16",
    f32: "f32",
    f16: "f16",
    q16: "q16",
    q8: "q8_0",
  };
  if (!Object.hasOwn(types, kv)) {
    throw new InvalidArgumentError(`kv must be "auto", "f32", "f16", "q16" or "q8", not ${kv}`);
  }
  const cacheDType = types[kv];
  const { contextLength: wanted } = options;
  if (wanted !== undefined) checkWhole("contextLength", wanted, 1);
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

/** Bytes that are left. */
function checkMemory(backend: Backend, weights: readonly LocatedWeight[], cache: number): number {
  const required = weights.reduce((sum, { spec }) => sum + backend.weightBytes(spec), cache);
  const available = backend.memory.limit - backend.memory.used;
  if (required > available) throw new OutOfMemoryError({ required, available, what: "weights and KV cache" });
  return available - required;
}
