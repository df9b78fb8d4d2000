/**
 * Finds a model's weights in a file, checks them against the configuration, and streams them to a backend.
 *
 * @module
 */
import type { Backend, WeightHandle, WeightSource, WeightSpec } from "./backends/backend.ts";
import { InvalidFileError } from "./errors.ts";
import type { ModelFile, TensorInfo } from "./formats/model_file.ts";
import { nextTask } from "./generate/next_task.ts";
import type { WeightEntry } from "./models/architecture.ts";

/** A weight of the Program and the tensor in the file that fills it. */
export interface LocatedWeight {
  /** As the Program declares it. */
  readonly spec: WeightSpec;
  /** Where its bytes are. */
  readonly tensor: TensorInfo;
}

/**
 * Finds every weight and checks its shape.
 *
 * @throws {InvalidFileError} where one is missing or has another shape than the configuration demands.
 */
export function locateWeights(file: ModelFile, entries: readonly WeightEntry[]): LocatedWeight[] {
  return entries.flatMap((entry) => {
    const tensor = entry.fileNames.map((name) => file.tensors.get(name)).find((found) => found !== undefined);
    if (!tensor && entry.optional) return [];
    if (!tensor) {
      throw new InvalidFileError(`the tensor is missing; the configuration demands [${entry.shape}]`, {
        file: file.name,
        tensor: entry.fileNames[0],
      });
    }
    if (tensor.shape.join() !== entry.shape.join()) {
      const what = `the shape is [${tensor.shape}] and the configuration demands [${entry.shape}]`;
      throw new InvalidFileError(what, { file: file.name, tensor: tensor.name, offset: tensor.offset });
    }
    const layout = entry.shape.length === 2 ? "packed" : "plain";
    const dtype = layout === "packed" ? tensor.dtype : "f32";
    return [{ spec: { name: entry.name, dtype, shape: entry.shape, layout }, tensor }];
  });
}

/** Options of `uploadWeights`. */
export interface UploadOptions {
  /** Ends the upload. */
  signal?: AbortSignal;
  /** Told of the bytes read so far, after each tensor. */
  onProgress?: (progress: { loaded: number; total: number }) => void;
}

/** Streams the weights to the backend, in the order in which they stand in the file. */
export async function uploadWeights(
  backend: Backend,
  weights: readonly LocatedWeight[],
  { signal, onProgress }: UploadOptions = {},
): Promise<Map<string, WeightHandle>> {
  const total = weights.reduce((sum, { tensor }) => sum + tensor.byteLength, 0);
  const handles = new Map<string, WeightHandle>();
  let loaded = 0;
  try {
    for (const { spec, tensor } of [...weights].sort((a, b) => a.tensor.offset - b.tensor.offset)) {
      signal?.throwIfAborted();
      handles.set(spec.name, await backend.upload(spec, tensorSource(tensor), signal));
      loaded += tensor.byteLength;
      onProgress?.({ loaded, total });
      await nextTask();
    }
  } catch (error) {
    for (const handle of handles.values()) backend.freeWeight(handle);
    throw error;
  }
  return handles;
}

/** The bytes of one tensor. */
export function tensorSource(tensor: TensorInfo): WeightSource {
  const { source, offset, dtype, byteLength } = tensor;
  const readSync = source.readSync?.bind(source);
  return {
    dtype,
    byteLength,
    read: (at, length) => source.read(offset + at, length),
    ...(readSync ? { readSync: (at: number, into: Uint8Array) => readSync(offset + at, into) } : {}),
  };
}
