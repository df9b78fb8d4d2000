/**
 * `inspect`: what is in a model's file, and what it will need. No weights are read.
 *
 * @module
 */
import { selectBackend } from "../backends/select.ts";
import { InvalidArgumentError, LLMForgeError } from "../errors.ts";
import type { ModelFile } from "../formats/model_file.ts";
import { crossCacheBytes } from "../generate/cross_cache.ts";
import { cacheBytes } from "../generate/decoder.ts";
import { chooseCache } from "../load.ts";
import { describeModel } from "../models/describe.ts";
import { elementCount } from "../tensor/shape.ts";
import { locateWeights } from "../weights.ts";
import { formatBytes, formatCount, table } from "./format.ts";
import { modelArgument } from "./open_model.ts";
import { openFileOf } from "./open_file.ts";
import type { ModelOptions } from "./options.ts";
import { print, printJson } from "./output.ts";

/** Bytes that a model will take. */
export interface MemoryNeed {
  /** Weights, as the backend stores them. */
  readonly weights: number;
  /** KV cache. */
  readonly kv: number;
  /** Both. */
  readonly total: number;
  /** What the backend can allocate. */
  readonly available: number;
  /** Whether it fits. */
  readonly fits: boolean;
  /** The backend in question. */
  readonly backend: string;
  /** Tokens that the cache holds. */
  readonly context: number;
}

/** What `inspect` finds. */
export interface Inspection {
  /** File format. */
  readonly format: ModelFile["format"];
  /** Architecture; nothing where the file does not say. */
  readonly architecture: string | null;
  /** Elements of all tensors. */
  readonly parameters: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Context in tokens that the model was made for. */
  readonly context: number | null;
  /** All tensors. */
  readonly tensors: readonly { name: string; dtype: string; shape: readonly number[] }[];
  /** Metadata; long arrays and texts as their length. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Memory that it needs; nothing where it cannot be loaded. */
  readonly memory: MemoryNeed | null;
  /** Why it cannot be loaded; absent where it can. */
  readonly problem?: string;
}

/** Longer arrays in metadata (vocabularies) are shown as their length. */
const LONG_ARRAY = 32;
/** Longer texts in metadata (a whole tokenizer.json) are shown as their length. */
const LONG_TEXT = 65536;
/** Width of a metadata value in the table. */
const VALUE_WIDTH = 80;

/** Options of `inspect`. */
export interface InspectOptions extends Omit<ModelOptions, "threads"> {
  /** Read everything and check the checksums. */
  verify?: boolean;
}

/** Runs it; gives the exit code. */
export async function inspect(
  source: string | undefined,
  options: InspectOptions,
  signal: AbortSignal,
): Promise<number> {
  const { file, name } = await openFileOf(modelArgument(source, options.model));
  try {
    if (options.verify) {
      if (!file.verify) {
        throw new InvalidArgumentError(
          `${name} is ${file.format}, which has no checksums; leave --verify out`,
        );
      }
      await file.verify(signal);
    }
    const inspection = await inspectFile(file, options);
    if (options.json) printJson(inspection);
    else printInspection(name, inspection);
    return 0;
  } finally {
    file.close();
  }
}

async function inspectFile(file: ModelFile, options: InspectOptions): Promise<Inspection> {
  const tensors = [...file.tensors.values()];
  const fields = { ...file.metadata, ...file.config };
  const named = fields["general.architecture"] ?? fields.model_type;
  return {
    format: file.format,
    architecture: typeof named === "string" ? named : null,
    parameters: tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    bytes: file.bytes,
    tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    metadata: Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, summarize(value)])),
    ...await need(file, options),
  };
}

/** What a backend would need to load the file, or the reason why it cannot be loaded. */
async function need(
  file: ModelFile,
  options: InspectOptions,
): Promise<Pick<Inspection, "context" | "memory" | "problem">> {
  let context: number | null = null;
  try {
    const description = await describeModel(file);
    const { architecture, config } = description;
    context = config.contextLength;
    const located = locateWeights(file, architecture.weights(config));
    const { backend: chosen } = await selectBackend(options.backend);
    using backend = chosen;
    const { contextLength, cacheDType } = chooseCache(backend, description, located, {
      kv: options.kv,
      contextLength: options.context,
    });
    const weights = located.reduce((sum, { spec }) => sum + backend.weightBytes(spec), 0);
    const kv = cacheBytes(config, contextLength, cacheDType) +
      crossCacheBytes(config, contextLength, cacheDType);
    const available = backend.memory.limit - backend.memory.used;
    const [total, name] = [weights + kv, backend.name];
    const memory = { weights, kv, total, available, fits: total <= available, backend: name };
    return { context, memory: { ...memory, context: contextLength } };
  } catch (error) {
    if (!(error instanceof LLMForgeError)) throw error;
    return { context, memory: null, problem: error.message };
  }
}

function summarize(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return value.length > LONG_TEXT ? { length: value.length } : value;
  if (ArrayBuffer.isView(value)) return summarize(Array.from(value as Uint8Array));
  if (!Array.isArray(value)) return value;
  return value.length > LONG_ARRAY ? { length: value.length } : value.map(summarize);
}

function printInspection(name: string, found: Inspection): void {
  const { tensors, metadata, memory } = found;
  const rows = [
    ["model", name],
    ["format", found.format],
    ["architecture", found.architecture ?? "unknown"],
    ["parameters", `${found.parameters} (${formatCount(found.parameters)})`],
    ["size", formatBytes(found.bytes)],
    ["context", found.context === null ? "unknown" : `${found.context} tokens`],
  ];
  if (memory) {
    rows.push(["weights", `${formatBytes(memory.weights)} on ${memory.backend}`]);
    rows.push(["KV cache", `${formatBytes(memory.kv)} for ${memory.context} tokens`]);
    const fits = memory.fits ? "fits" : `does not fit into ${formatBytes(memory.available)}`;
    rows.push(["in all", `${formatBytes(memory.total)}, ${fits}`]);
  }
  if (found.problem !== undefined) rows.push(["problem", found.problem]);
  print(table(rows));
  print("\nMETADATA\n" + table(Object.entries(metadata).map(([key, value]) => [key, short(value)])));
  print(
    "\nTENSORS\n" +
      table(tensors.map((tensor) => [tensor.name, tensor.dtype, `[${tensor.shape.join(", ")}]`])),
  );
}

function short(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > VALUE_WIDTH ? `${text.slice(0, VALUE_WIDTH)}…` : text;
}
