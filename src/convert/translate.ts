/**
 * What a model's file says, in the words of the other naming.
 *
 * @module
 */
import { UnsupportedModelError } from "../errors.ts";
import { metadataPair } from "../formats/gguf_values.ts";
import type { JsonObject } from "../formats/json.ts";
import type { ModelFile } from "../formats/model_file.ts";
import type { Architecture, ModelMetadata, WeightEntry } from "../models/architecture.ts";
import type { DecoderConfig } from "../models/config.ts";
import { describeModel } from "../models/describe.ts";
import { findArchitecture } from "../models/mod.ts";
import { ROPE_TENSORS } from "../models/rope_config.ts";
import { samplingDefaults } from "../model_files.ts";
import { type LocatedWeight, locateWeights } from "../weights.ts";
import type { Content } from "./content.ts";
import { activationField, ggufConfig, type GgufFields, ropeTensors } from "./gguf_config.ts";
import { tokenizerFields } from "./gguf_tokenizer.ts";
import { configText, huggingFaceConfig, huggingFaceFamily, jsonText } from "./hugging_face_config.ts";
import { huggingFaceTokenizerFiles } from "./hugging_face_tokenizer.ts";
import { ggufLabels, huggingFaceLabels } from "./labels.ts";
import { poolingFiles } from "./pooling_files.ts";
import { ggufPadding, paddingWeight, type PlacedWeight } from "./position_padding.ts";
import { renamed } from "./rename.ts";
import { ggufSampling, huggingFaceSampling } from "./sampling.ts";
import { differences } from "./same_config.ts";

/**
 * The file in the other naming.
 *
 * @throws {UnsupportedModelError} where that naming cannot say what the model is.
 */
export async function translatedContent(file: ModelFile): Promise<Content> {
  const { architecture, config } = await describeModel(file);
  const located = withoutShared(locateWeights(file, architecture.weights(config)));
  const source: Source = { file, architecture, config, located };
  const translate = file.naming === "gguf" ? toHuggingFace : toGguf;
  const { family, to, naming, added = [], ...said } = await translate(source);
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
    tensors: renamed({
      located: [...located, ...added.map(({ weight }) => weight)],
      from: config,
      to,
      entries: [...family.weights(to), ...added.map(({ entry }) => entry)],
      naming,
    }),
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

/** The model that is translated. */
interface Source {
  readonly file: ModelFile;
  readonly architecture: Architecture;
  readonly config: DecoderConfig;
  readonly located: readonly LocatedWeight[];
}

/** What a translation gives, and the configuration as the new file will be read. */
interface Translation extends Pick<Content, "extra" | "pairs" | "files"> {
  readonly family: Architecture;
  readonly to: DecoderConfig;
  readonly naming: ModelMetadata["naming"];
  /** Weights that stand elsewhere than in the source's tensors. */
  readonly added?: readonly PlacedWeight[];
}

async function toGguf({ file, architecture, config, located }: Source): Promise<Translation> {
  const { files, ids } = architecture;
  if (!files?.gguf) {
    throw new UnsupportedModelError(
      `GGUF has no architecture for models of ${ids[0]}; convert to forge or safetensors`,
    );
  }
  const family = findArchitecture([files.gguf]);
  const extra = ropeTensors(config);
  const smallTensors = new Map(
    await Promise.all(extra.map(async (tensor) => {
      const [bytes] = await Array.fromAsync(tensor.pieces());
      return [tensor.name, new Float32Array(bytes.slice().buffer)] as const;
    })),
  );
  const shapeOf = writtenShapes(family.weights(config), located, "gguf");
  const read = (fields: GgufFields): DecoderConfig => {
    const plain = Object.entries(fields).map(([key, value]) => [key, plainValue(value)]);
    return family.config({ naming: "gguf", fields: Object.fromEntries(plain), shapeOf, smallTensors });
  };
  let fields: GgufFields = {
    ...ggufConfig(files.gguf, config),
    ...ggufLabels(files.gguf, file, config),
    ...await ggufPadding(files.gguf, file, config, located),
  };
  let to = read(fields);
  if (to.activation !== config.activation) {
    fields = { ...fields, ...activationField(files.gguf, config) };
    to = read(fields);
  }
  const named = file.config?._name_or_path;
  const all: GgufFields = {
    ...fields,
    ...(typeof named === "string" && named !== "" ? { "general.name": named } : {}),
    ...ggufSampling(samplingDefaults(file)),
    ...await tokenizerFields(file, config),
  };
  const pairs = Object.entries(all).map(([key, value]) => metadataPair(key, value));
  return { family, to, naming: "gguf", extra, pairs, files: {} };
}

function toHuggingFace({ file, architecture, config, located }: Source): Translation {
  const family = huggingFaceFamily(architecture, config);
  const names = new Set(located.map(({ spec }) => spec.name));
  const fields = {
    ...huggingFaceConfig(family, config, (weight) => names.has(weight)),
    ...huggingFaceLabels(file, config),
  };
  const entries = family.weights(config);
  const read = family.config({
    naming: "hugging_face",
    fields,
    shapeOf: writtenShapes(entries, located, "hugging_face"),
    smallTensors: new Map(),
  });
  const to = config.pooling ? { ...read, pooling: config.pooling } : read;
  const { "generation_config.json": generation, ...tokenizer } = huggingFaceTokenizerFiles(
    file.metadata,
    file.name,
  );
  const all = { ...generation as JsonObject | undefined, ...huggingFaceSampling(samplingDefaults(file)) };
  const files = {
    ...(Object.keys(all).length > 0 ? { "generation_config.json": all } : {}),
    ...tokenizer,
    ...poolingFiles(config),
  };
  const padding = paddingWeight(file, config, { entries, located });
  return {
    family,
    to,
    naming: "hugging_face",
    extra: [],
    pairs: [],
    added: padding ? [padding] : [],
    files: {
      ...Object.fromEntries(Object.entries(files).map(([name, value]) => [name, jsonText(value)])),
      "config.json": configText(fields),
    },
  };
}

/** Shapes of the new file's tensors. */
function writtenShapes(
  entries: readonly WeightEntry[],
  located: readonly LocatedWeight[],
  naming: ModelMetadata["naming"],
): ModelMetadata["shapeOf"] {
  const found = new Set(located.map(({ spec }) => spec.name));
  const places = entries.filter(({ name }) => found.has(name))
    .flatMap(({ places }) => places.filter(({ written }) => written === naming));
  const shapes = new Map(places.flatMap(({ tensors, shape }) => tensors.map((name) => [name, shape])));
  return (name) => shapes.get(name);
}

function plainValue(value: GgufFields[string]): unknown {
  if (typeof value === "object" && "value" in value) {
    return value.type === "f32" ? Math.fround(Number(value.value)) : value.value;
  }
  return typeof value === "object" && "of" in value ? value.values : value;
}
