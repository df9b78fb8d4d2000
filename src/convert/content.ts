/**
 * What a model's file says, in the words of its own naming.
 *
 * @module
 */
import { LLMForgeError } from "../errors.ts";
import { PARTS } from "../formats/forge_layout.ts";
import type { MetadataPair } from "../formats/gguf_values.ts";
import type { ModelFile } from "../formats/model_file.ts";
import { QUANTIZED_KEY } from "../formats/safetensors.ts";
import type { TensorOut } from "../formats/tensor_out.ts";
import { describeModel, type ModelDescription } from "../models/describe.ts";
import { tensorSource } from "../weight_source.ts";
import { type LocatedWeight, locateWeights } from "../weights.ts";
import { configText, jsonText } from "./hugging_face_config.ts";
import type { Matrix } from "./matrix.ts";

/** A tensor, and the weight that it holds: its name in Programs, where it is known. */
export interface NamedTensor extends Matrix {
  /** The first of the weights in it. */
  readonly weight?: string;
}

/** A model in the words of a naming. */
export interface Content {
  /** Its weights. */
  readonly tensors: readonly NamedTensor[];
  /** Small tensors that belong to the configuration. */
  readonly extra: readonly TensorOut[];
  /** Metadata of GGUF. */
  readonly pairs: readonly MetadataPair[];
  /** Texts of the files of a Hugging Face folder. */
  readonly files: Readonly<Record<string, string>>;
  /** Strings that a safetensors file carries. */
  readonly strings: Readonly<Record<string, string>>;
  /** The output head is the embedding. */
  readonly tiedHead: boolean;
  /** Tensors of the source that are left out. */
  readonly dropped: readonly string[];
}

/** The file as it is. */
export async function ownContent(file: ModelFile): Promise<Content> {
  const found = await describe(file);
  const weights = new Map(
    found?.located.toReversed().flatMap(({ spec, tensors }) => tensors.map((name) => [name, spec.name])),
  );
  const tensors = [...file.tensors.values()].map((tensor): NamedTensor => ({
    name: tensor.name,
    shape: tensor.shape,
    source: tensorSource(tensor),
    weight: weights.get(tensor.name),
  }));
  const pairs = await file.metadataPairs?.() ?? [];
  return {
    tensors,
    extra: [],
    // Files are written with the usual alignment, whatever the source had.
    pairs: pairs.filter(({ key }) => key !== "general.alignment"),
    files: await ownFiles(file),
    strings: file.naming === "gguf" ? {} : ownStrings(file.metadata),
    tiedHead: found?.config.tiedHead ?? false,
    dropped: [],
  };
}

/** What a file is, where this version knows it: renaming needs that, copying does not. */
async function describe(
  file: ModelFile,
): Promise<ModelDescription & { located: readonly LocatedWeight[] } | undefined> {
  try {
    const description = await describeModel(file);
    const located = locateWeights(file, description.architecture.weights(description.config));
    return { ...description, located };
  } catch (error) {
    if (error instanceof LLMForgeError) return undefined;
    throw error;
  }
}

async function ownFiles(file: ModelFile): Promise<Record<string, string>> {
  const { config, generationConfig, poolingConfig, tokenizerJson, tokenizerConfig, chatTemplate } = file;
  return {
    ...(config && { [PARTS.config]: configText(config) }),
    ...(generationConfig && { [PARTS.generationConfig]: jsonText(generationConfig) }),
    ...(poolingConfig && { [PARTS.pooling]: jsonText(poolingConfig) }),
    ...(tokenizerJson && { [PARTS.tokenizer]: jsonText(await tokenizerJson()) }),
    ...(tokenizerConfig && { [PARTS.tokenizerConfig]: jsonText(await tokenizerConfig()) }),
    ...(chatTemplate && { [PARTS.chatTemplate]: await chatTemplate() }),
  };
}

function ownStrings(metadata: ModelFile["metadata"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).filter((entry): entry is [string, string] =>
      typeof entry[1] === "string" && entry[0] !== QUANTIZED_KEY
    ),
  );
}
