/**
 * Finds a model's weights in a file, checks them against the configuration, and streams them to a backend.
 *
 * @module
 */
import type { Backend, WeightHandle, WeightSource, WeightSpec } from "./backends/backend.ts";
import { InvalidFileError } from "./errors.ts";
import type { ModelFile, TensorInfo } from "./formats/model_file.ts";
import { nextTask } from "./next_task.ts";
import type { WeightEntry, WeightPlace } from "./models/architecture.ts";
import { isQuantized } from "./tensor/dtype.ts";
import { weightSource } from "./weight_source.ts";

/** A weight of the Program and what fills it. */
export interface LocatedWeight {
  /** As the Program declares it. */
  readonly spec: WeightSpec;
  /** Its bytes. */
  readonly source: WeightSource;
  /** Where the first of them stand in the file. */
  readonly offset: number;
  /** Names of the tensors that they are taken from. */
  readonly tensors: readonly string[];
}

/**
 * Finds every weight and checks its shape.
 *
 * @throws {InvalidFileError} where one is missing or has another shape than the configuration demands.
 */
export function locateWeights(file: ModelFile, entries: readonly WeightEntry[]): LocatedWeight[] {
  return entries.flatMap((entry) => {
    const place = entry.places.find(({ tensors }) => file.tensors.has(tensors[0]));
    if (!place && entry.optional) return [];
    if (!place) {
      throw new InvalidFileError(`the tensor is missing; the configuration demands [${entry.shape}]`, {
        file: file.name,
        tensor: entry.places[0].tensors[0],
      });
    }
    const form = formIn(file, place);
    const tensors = form.tensors.map((name) => findTensor(file, name, form.shape));
    const source = weightSource(form, tensors);
    const layout = entry.shape.length === 2 ? "packed" : "plain";
    const dtype = layout === "packed" ? source.dtype : "f32";
    const spec: WeightSpec = { name: entry.name, dtype, shape: entry.shape, layout };
    return [{ spec, source, offset: tensors[0].offset, tensors: form.tensors }];
  });
}

/** The place as the file has it: a quantized matrix is [out, in] even where the family stores [in, out]. */
function formIn(file: ModelFile, place: WeightPlace): WeightPlace {
  const dtype = file.tensors.get(place.tensors[0])?.dtype;
  if (!place.transposed || !dtype || !isQuantized(dtype)) return place;
  return { ...place, transposed: false, shape: place.shape.toReversed() };
}

function findTensor(file: ModelFile, name: string, shape: readonly number[]): TensorInfo {
  const tensor = file.tensors.get(name);
  if (!tensor) {
    throw new InvalidFileError(`the tensor is missing; the configuration demands [${shape}]`, {
      file: file.name,
      tensor: name,
    });
  }
  if (!sameShape(tensor.shape, shape)) {
    const what = `the shape is [${tensor.shape}] and the configuration demands [${shape}]`;
    throw new InvalidFileError(what, { file: file.name, tensor: name, offset: tensor.offset });
  }
  return tensor;
}

/** Shapes are the same without what is 1 at the front: some converters leave that out. */
function sameShape(a: readonly number[], b: readonly number[]): boolean {
  const inner = (shape: readonly number[]): string => shape.slice(shape.findIndex((dim) => dim !== 1)).join();
  return inner(a) === inner(b);
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
  const total = weights.reduce((sum, { source }) => sum + source.byteLength, 0);
  const handles = new Map<string, WeightHandle>();
  let loaded = 0;
  try {
    for (const { spec, source } of [...weights].sort((a, b) => a.offset - b.offset)) {
      signal?.throwIfAborted();
      handles.set(spec.name, await backend.upload(spec, source, signal));
      loaded += source.byteLength;
      onProgress?.({ loaded, total });
      await nextTask();
    }
  } catch (error) {
    for (const handle of handles.values()) backend.freeWeight(handle);
    throw error;
  }
  return handles;
}
