/**
 * Finds out which model a file holds: its architecture and checked configuration.
 *
 * @module
 */
import { UnsupportedModelError } from "../errors.ts";
import type { ModelFile } from "../formats/model_file.ts";
import { elementCount } from "../tensor/shape.ts";
import type { Architecture, ModelMetadata } from "./architecture.ts";
import type { DecoderConfig } from "./config.ts";
import { findArchitecture } from "./mod.ts";
import { sentencePooling } from "./pooling.ts";

/** Which model a file holds. */
export interface ModelDescription {
  /** Its architecture. */
  readonly architecture: Architecture;
  /** Its configuration, checked. */
  readonly config: DecoderConfig;
}

/** Small tensors that belong to a configuration have at most this many elements. */
const SMALL_TENSOR = 65536;

/**
 * Reads architecture and configuration.
 *
 * @throws {UnsupportedModelError} where the architecture is not known.
 * @throws {InvalidConfigError} where a field is missing or impossible.
 */
export async function describeModel(file: ModelFile): Promise<ModelDescription> {
  const architecture = findArchitecture(architectureNames(file));
  const smallTensors = new Map<string, Float32Array>();
  for (const name of architecture.smallTensors ?? []) {
    const tensor = file.tensors.get(name);
    if (!tensor || elementCount(tensor.shape) > SMALL_TENSOR) continue;
    const { dequantize } = await import("../tensor/quantize.ts");
    const bytes = await tensor.source.read(tensor.offset, tensor.byteLength);
    smallTensors.set(name, dequantize(tensor.dtype, bytes, new Float32Array(elementCount(tensor.shape))));
  }
  const metadata: ModelMetadata = {
    naming: file.naming,
    fields: file.config ?? file.metadata,
    shapeOf: (name) => file.tensors.get(name)?.shape,
    smallTensors,
  };
  const config = architecture.config(metadata);
  const pooling = file.poolingConfig && sentencePooling(file.poolingConfig);
  return { architecture, config: pooling ? { ...config, pooling } : config };
}

function architectureNames(file: ModelFile): string[] {
  const { metadata, config } = file;
  const classes = Array.isArray(config?.architectures) ? config.architectures : [];
  // A class says more than the type: T5's encoder by itself is one of the type t5.
  const names = [metadata["general.architecture"], ...classes, config?.model_type];
  const found = names.filter((name) => typeof name === "string");
  if (found.length === 0) {
    throw new UnsupportedModelError(
      `${file.name} does not say which architecture it is; put its config.json beside it`,
    );
  }
  return found;
}
