/**
 * Where a conversion goes: the three formats, and how a plan is written in each.
 *
 * @module
 */
import { InvalidFileError } from "../errors.ts";
import type { ByteSink, WriteOptions } from "../formats/byte_sink.ts";
import { ByteWriter } from "../formats/byte_writer.ts";
import { splitPath } from "../formats/folder.ts";
import { PARTS, TOKENIZER_KEYS } from "../formats/forge_layout.ts";
import { type ForgeParts, writeForge } from "../formats/forge_writer.ts";
import { type MetadataPair, writePairs } from "../formats/gguf_values.ts";
import { writeGguf } from "../formats/gguf_writer.ts";
import { shardIndex, shards, writeSafetensors } from "../formats/safetensors_writer.ts";
import { fileSink, makeFolder } from "../formats/sink_file.ts";
import { kindOfPath } from "../formats/source_file.ts";
import type { ModelMetadata } from "../models/architecture.ts";
import type { Plan } from "./plan.ts";

/** Format of a model's file. */
export type ModelFormat = "gguf" | "safetensors" | "forge";

/** Where to and how a plan is written. */
export interface TargetOptions extends WriteOptions {
  /** File or folder. */
  readonly path: string;
  /** Largest safetensors file, in bytes. */
  readonly shardBytes: number;
}

/** One format. */
interface Target {
  /** The naming of its files; absent where that of the source stays. */
  readonly naming?: ModelMetadata["naming"];
  /** Writes it. */
  write(plan: Plan, options: TargetOptions): Promise<void>;
}

/** The formats by name. */
export const TARGETS: Readonly<Record<ModelFormat, Target>> = {
  gguf: {
    naming: "gguf",
    write: (plan, options) => oneFile(options.path, (sink) => writeGguf(sink, plan, options)),
  },
  safetensors: {
    naming: "hugging_face",
    write: (plan, options) =>
      options.path.endsWith(".safetensors") ? besideOneFile(plan, options) : folder(plan, options),
  },
  forge: {
    write: (plan, options) =>
      oneFile(
        options.path,
        (sink) => writeForge(sink, { ...forgeParts(plan), tensors: plan.tensors }, options),
      ),
  },
};

async function oneFile(path: string, write: (sink: ByteSink) => Promise<void>): Promise<void> {
  if (await readable(path) === "folder") {
    throw new InvalidFileError("this is a folder and the result is a file; name the file", { file: path });
  }
  const sink = await fileSink(path);
  try {
    await write(sink);
    sink.finish();
  } catch (error) {
    sink.abort();
    throw error;
  }
}

/** What is at the path, where it may be looked at. */
async function readable(path: string): Promise<"file" | "folder" | undefined> {
  const { permissions } = (globalThis as { Deno?: Pick<typeof Deno, "permissions"> }).Deno ?? {};
  const status = await permissions?.query({ name: "read", path });
  return status && status.state !== "granted" ? undefined : await kindOfPath(path);
}

/** A folder in Hugging Face layout. Its files take their places together, once all are complete. */
async function folder(plan: Plan, options: TargetOptions): Promise<void> {
  if (await readable(options.path) === "file") {
    throw new InvalidFileError("this is a file and the result is a folder; name a folder", {
      file: options.path,
    });
  }
  const place = options.path.replace(/[\\/]$/, "");
  // Its other files would be taken for parts of this one.
  if (await readable(`${place}/config.json`)) {
    throw new InvalidFileError("there is a model in the folder already; name another one", {
      file: options.path,
    });
  }
  await makeFolder(options.path);
  const files = shards(plan.tensors, options.shardBytes);
  const texts = {
    ...plan.files,
    ...(files.length > 1
      ? { "model.safetensors.index.json": JSON.stringify(shardIndex(files), undefined, 2) + "\n" }
      : {}),
  };
  const sinks: ByteSink[] = [];
  const open = async (file: string): Promise<ByteSink> => {
    const { folder } = splitPath(file);
    if (folder !== "") await makeFolder(`${place}/${folder}`);
    const sink = await fileSink(`${place}/${file}`);
    sinks.push(sink);
    return sink;
  };
  try {
    for (const { file, tensors } of files) {
      await writeSafetensors(await open(file), tensors, plan.strings, options);
    }
    for (const [name, text] of Object.entries(texts)) (await open(name)).write(encode(text));
    sinks.forEach((sink) => sink.finish());
  } catch (error) {
    sinks.forEach((sink) => sink.abort());
    throw error;
  }
}

/** One named file, and beside it what belongs to the model; files of another model there are left alone. */
async function besideOneFile(plan: Plan, options: TargetOptions): Promise<void> {
  const { folder, file } = splitPath(options.path);
  for (const name of Object.keys(plan.files)) {
    if (await readable(folder + name)) {
      throw new InvalidFileError(
        `the result would replace it; give ${JSON.stringify(file)} a folder of its own`,
        { file: folder + name },
      );
    }
  }
  await oneFile(options.path, (sink) => writeSafetensors(sink, plan.tensors, plan.strings, options));
  for (const [name, text] of Object.entries(plan.files)) {
    const below = splitPath(name).folder;
    if (below !== "") await makeFolder(folder + below);
    await oneFile(folder + name, (sink) => Promise.resolve(sink.write(encode(text))));
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Files that belong to the tokenizer section. */
const TOKENIZER_FILES: readonly string[] = [PARTS.tokenizer, PARTS.tokenizerConfig, PARTS.chatTemplate];

function forgeParts({ naming, pairs, files, strings }: Plan): { config: ForgeParts; tokenizer: ForgeParts } {
  if (naming === "gguf") {
    const ofTokenizer = ({ key }: MetadataPair): boolean => key.startsWith(TOKENIZER_KEYS);
    return {
      config: { [PARTS.metadata]: pairsPart(pairs.filter((pair) => !ofTokenizer(pair))) },
      tokenizer: { [PARTS.ggufTokenizer]: pairsPart(pairs.filter(ofTokenizer)) },
    };
  }
  const parts = Object.entries(files).map(([name, text]) => [name, encode(text)] as const);
  const pick = (tokenizer: boolean): ForgeParts =>
    Object.fromEntries(parts.filter(([name]) => TOKENIZER_FILES.includes(name) === tokenizer));
  return {
    config: { ...pick(false), [PARTS.strings]: encode(JSON.stringify(strings)) },
    tokenizer: pick(true),
  };
}

function pairsPart(pairs: readonly MetadataPair[]): Uint8Array {
  const w = new ByteWriter().u64(pairs.length);
  writePairs(w, pairs);
  return w.finish();
}
