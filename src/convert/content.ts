/**
 * What a model's file says, in the words of a naming: its own, or the other one.
 *
 * @module
 */
import { LLMForgeError, UnsupportedModelError } from "../errors.ts";
import { PARTS } from "../formats/forge_layout.ts";
import { type MetadataPair, metadataPair } from "../formats/gguf_values.ts";
import type { ModelFile } from "../formats/model_file.ts";
import type { JsonObject } from "../formats/json.ts";
import { QUANTIZED_KEY } from "../formats/safetensors.ts";
import type { TensorOut } from "../formats/tensor_out.ts";
import type { Architecture, ModelMetadata } from "../models/architecture.ts";
import type { DecoderConfig } from "../models/config.ts";
import { describeModel, type ModelDescription } from "../models/describe.ts";
import { ROPE_TENSORS } from "../models/rope_config.ts";
import { samplingDefaults } from "../model_files.ts";
import { tensorSource } from "../weight_source.ts";
import { type LocatedWeight, locateWeights } from "../weights.ts";
import { activationField, ggufConfig, type GgufFields, ropeTensors } from "./gguf_config.ts";
import { tokenizerFields } from "./gguf_tokenizer.ts";
import { configText, huggingFaceConfig, huggingFaceFamily } from "./hugging_face_config.ts";
import { huggingFaceTokenizerFiles } from "./hugging_face_tokenizer.ts";
import type { Matrix } from "./matrix.ts";
import { renamed } from "./rename.ts";
import { differences } from "./same_config.ts";

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

const json = (value: unknown): string => JSON.stringify(value, undefined, 2) + "\n";

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
    ...(generationConfig && { [PARTS.generationConfig]: json(generationConfig) }),
    ...(poolingConfig && { [PARTS.pooling]: json(poolingConfig) }),
    ...(tokenizerJson && { [PARTS.tokenizer]: json(await tokenizerJson()) }),
    ...(tokenizerConfig && { [PARTS.tokenizerConfig]: json(await tokenizerConfig()) }),
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

/**
 * The file in the other naming.
 *
 * @throws {UnsupportedModelError} where that naming cannot say what the model is.
 */
export async function translatedContent(file: ModelFile): Promise<Content> {
  const { architecture, config } = await describeModel(file);
  const located = withoutShared(locateWeights(file, architecture.weights(config)));
  const translate = file.naming === "gguf" ? toHuggingFace : toGguf;
  const { family, to, naming, ...said } = await translate(file, architecture, config, located);
  const lost = differences(config, to);
  if (lost.length > 0) {
    throw new UnsupportedModelError(
      `${naming === "gguf" ? "GGUF" : "config.json"} cannot say this model's ${lost.join(", ")}; ` +
        `convert to ${naming === "gguf" ? "safetensors" : "gguf"} or forge`,
    );
  }
  const used = new Set(located.flatMap(({ tensors }) => tensors));
  return {
    ...said,
    tensors: renamed({ located, from: config, to, entries: family.weights(to), naming }),
    strings: naming === "gguf" ? {} : { format: "pt" },
    tiedHead: config.tiedHead,
    dropped: [...file.tensors.keys()].filter((name) => !used.has(name) && !ROPE_TENSORS.includes(name)),
  };
}

/** The weights without the feed-forward norms that are the tensors of attention's norms again. */
function withoutShared(located: readonly LocatedWeight[]): LocatedWeight[] {
  const tensors = new Map(located.map((weight) => [weight.spec.name, weight.tensors.join()]));
  return located.filter(({ spec: { name }, tensors: own }) =>
    !name.includes("feedForwardNorm") ||
    tensors.get(name.replace("feedForwardNorm", "attentionNorm")) !== own.join()
  );
}

/** What a translation gives, and the configuration as the new file will be read. */
interface Translation extends Pick<Content, "extra" | "pairs" | "files"> {
  readonly family: Architecture;
  readonly to: DecoderConfig;
  readonly naming: ModelMetadata["naming"];
}

async function toGguf(
  file: ModelFile,
  architecture: Architecture,
  config: DecoderConfig,
): Promise<Translation> {
  const { files, ids } = architecture;
  if (!files) throw new UnsupportedModelError(`models of ${ids[0]} cannot be converted to GGUF yet`);
  const extra = ropeTensors(config);
  const smallTensors = new Map(
    await Promise.all(extra.map(async (tensor) => {
      const [bytes] = await Array.fromAsync(tensor.pieces());
      return [tensor.name, new Float32Array(bytes.slice().buffer)] as const;
    })),
  );
  const read = (fields: GgufFields): DecoderConfig => {
    const plain = Object.entries(fields).map(([key, value]) => [key, plainValue(value)]);
    return architecture.config({
      naming: "gguf",
      fields: Object.fromEntries(plain),
      shapeOf: headShape(config),
      smallTensors,
    });
  };
  let fields: GgufFields = ggufConfig(files.gguf, config);
  let to = read(fields);
  if (to.activation !== config.activation) {
    fields = { ...fields, ...activationField(files.gguf, config) };
    to = read(fields);
  }
  const named = file.config?._name_or_path;
  const all: GgufFields = {
    ...fields,
    ...(typeof named === "string" && named !== "" ? { "general.name": named } : {}),
    ...samplingFields(file),
    ...await tokenizerFields(file, config),
  };
  const pairs = Object.entries(all).map(([key, value]) => metadataPair(key, value));
  return { family: architecture, to, naming: "gguf", extra, pairs, files: {} };
}

function toHuggingFace(
  file: ModelFile,
  architecture: Architecture,
  config: DecoderConfig,
  located: readonly LocatedWeight[],
): Translation {
  const family = huggingFaceFamily(architecture, config);
  const names = new Set(located.map(({ spec }) => spec.name));
  const fields = huggingFaceConfig(family, config, (weight) => names.has(weight));
  const to = family.config({
    naming: "hugging_face",
    fields,
    shapeOf: headShape(config),
    smallTensors: new Map(),
  });
  const { "generation_config.json": generation, ...tokenizer } = huggingFaceTokenizerFiles(
    file.metadata,
    file.name,
  );
  const all = { ...generation as JsonObject | undefined, ...samplingSettings(file) };
  const files = {
    ...(Object.keys(all).length > 0 ? { "generation_config.json": all } : {}),
    ...tokenizer,
  };
  return {
    family,
    to,
    naming: "hugging_face",
    extra: [],
    pairs: [],
    files: {
      ...Object.fromEntries(Object.entries(files).map(([name, value]) => [name, json(value)])),
      "config.json": configText(fields),
    },
  };
}

/** The recommended sampling as GGUF metadata. */
function samplingFields(file: ModelFile): GgufFields {
  const { temperature, topK, topP } = samplingDefaults(file);
  const f32 = (value: number): GgufFields[string] => ({ type: "f32", value });
  return {
    ...(temperature === undefined ? {} : { "general.sampling.temp": f32(temperature) }),
    ...(topK === undefined ? {} : { "general.sampling.top_k": { type: "i32", value: topK } }),
    ...(topP === undefined ? {} : { "general.sampling.top_p": f32(topP) }),
  };
}

/** The recommended sampling as fields of `generation_config.json`. */
function samplingSettings(file: ModelFile): JsonObject {
  const { temperature, topK, topP } = samplingDefaults(file);
  if (temperature === undefined && topK === undefined && topP === undefined) return {};
  return {
    do_sample: true,
    ...(temperature === undefined ? {} : { temperature }),
    ...(topK === undefined ? {} : { top_k: topK }),
    ...(topP === undefined ? {} : { top_p: topP }),
  };
}

/** Shapes as far as a configuration asks for them: whether there is a head beside the embedding. */
function headShape({ tiedHead, vocabSize, hiddenSize }: DecoderConfig): ModelMetadata["shapeOf"] {
  return () => tiedHead ? undefined : [vocabSize, hiddenSize];
}

function plainValue(value: GgufFields[string]): unknown {
  if (typeof value === "object" && "value" in value) {
    return value.type === "f32" ? Math.fround(Number(value.value)) : value.value;
  }
  return typeof value === "object" && "of" in value ? value.values : value;
}
