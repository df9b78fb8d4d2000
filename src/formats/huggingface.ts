/**
 * Models in Hugging Face layout: `config.json`, safetensors in one file or in shards with an index, a tokenizer.
 *
 * @module
 */

import { InvalidFileError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { checkFileName, type Folder } from "./folder.ts";
import { isObject, readJson, readJsonObject, readText } from "./json.ts";
import type { ModelFile, TensorInfo } from "./model_file.ts";
import { readSafetensors, type SafetensorsContent } from "./safetensors.ts";

/** Names in the layout. */
const WEIGHTS = "model.safetensors";
const POOLING = "1_Pooling/config.json";
const INDEX_SUFFIX = ".index.json";
const SHARD = /-\d{5}-of-\d{5}(?=\.safetensors$)/;

/** The weights, in as many files as they take. */
interface Weights extends SafetensorsContent {
  readonly sources: readonly ByteSource[];
}

/** Opens the model in a folder, which must have a `config.json`. */
export async function openFolder(folder: Folder): Promise<ModelFile> {
  const place = { file: folder.name };
  if (!await folder.has("config.json")) {
    throw new InvalidFileError(
      "there is no config.json; give a folder in Hugging Face layout, or a file",
      place,
    );
  }
  const index = WEIGHTS + INDEX_SUFFIX;
  if (await folder.has(WEIGHTS)) {
    return await describe(folder, folder.name, await openSingle(await folder.open(WEIGHTS)));
  }
  if (await folder.has(index)) return await describe(folder, folder.name, await openSharded(folder, index));
  throw new InvalidFileError(
    `there is neither ${WEIGHTS} nor ${index}; fetch the weights as safetensors`,
    place,
  );
}

/**
 * Opens a bare safetensors file, with what lies beside it where the folder is known. A shard that an index beside it
 * names stands for all of them. The model owns `source`.
 */
export async function openSafetensors(
  source: ByteSource,
  beside?: { folder: Folder; file: string },
): Promise<ModelFile> {
  if (!beside) return await describe(undefined, source.name, await openSingle(source));
  const { folder, file } = beside;
  let described: Folder | undefined;
  try {
    if (await folder.has("config.json")) described = folder;
    const index = file.replace(SHARD, "") + INDEX_SUFFIX;
    if (SHARD.test(file) && await folder.has(index)) {
      source.close();
      return await describe(described, source.name, await openSharded(folder, index));
    }
  } catch (error) {
    source.close();
    throw error;
  }
  return await describe(described, source.name, await openSingle(source));
}

/** Adds the JSON files of the folder to the weights; closes the weights where one of them is damaged. */
async function describe(folder: Folder | undefined, name: string, weights: Weights): Promise<ModelFile> {
  const close = () => closeAll(weights.sources);
  const file: ModelFile = {
    format: "safetensors",
    naming: "hugging_face",
    name,
    bytes: weights.sources.reduce((sum, source) => sum + source.size, 0),
    metadata: weights.metadata,
    tensors: weights.tensors,
    close,
  };
  if (!folder) return file;

  const has = (name: string) => folder.has(name);
  const object = async (name: string) => await readJsonObject(await folder.open(name));
  const value = (name: string) => async () => await readJson(await folder.open(name));
  try {
    return {
      ...file,
      config: await object("config.json"),
      ...(await has("generation_config.json") &&
        { generationConfig: await object("generation_config.json") }),
      ...(await has(POOLING) && { poolingConfig: await object(POOLING) }),
      ...(await has("tokenizer.json") && { tokenizerJson: value("tokenizer.json") }),
      ...(await has("tokenizer_config.json") && { tokenizerConfig: value("tokenizer_config.json") }),
      ...(await has("chat_template.jinja") &&
        { chatTemplate: async () => await readText(await folder.open("chat_template.jinja")) }),
    };
  } catch (error) {
    close();
    throw error;
  }
}

function closeAll(sources: Iterable<ByteSource>): void {
  for (const source of sources) source.close();
}

async function openSingle(source: ByteSource): Promise<Weights> {
  try {
    return { ...await readSafetensors(source), sources: [source] };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Opens the shards that an index names, and takes from each the tensors that the index says are there. */
async function openSharded(folder: Folder, indexName: string): Promise<Weights> {
  const index = await folder.open(indexName);
  const place = { file: index.name };
  const map = (await readJsonObject(index))["weight_map"];
  if (!isObject(map)) throw new InvalidFileError("the index has no weight_map", place);

  const shards = new Map<string, SafetensorsContent>();
  const sources: ByteSource[] = [];
  const tensors = new Map<string, TensorInfo>();
  const metadata: Record<string, string> = Object.create(null);
  try {
    for (const [tensor, file] of Object.entries(map)) {
      if (typeof file !== "string") {
        throw new InvalidFileError("the index gives no file for the tensor", { ...place, tensor });
      }
      let shard = shards.get(file);
      if (!shard) {
        checkFileName(file, { ...place, tensor });
        const source = await folder.open(file);
        sources.push(source);
        shard = await readSafetensors(source);
        shards.set(file, shard);
        Object.assign(metadata, shard.metadata);
      }
      const info = shard.tensors.get(tensor);
      if (!info) {
        throw new InvalidFileError(`the index says that the tensor is in ${file}, and it is not`, {
          ...place,
          tensor,
        });
      }
      tensors.set(tensor, info);
    }
  } catch (error) {
    closeAll(sources);
    throw error;
  }
  return { metadata, tensors, sources };
}
