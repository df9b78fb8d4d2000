/**
 * The own format, `.forge`: everything before the tensors is read at once and checked against its checksums; tensors
 * are left where they are. Layout: docs/formats.md.
 *
 * @module
 */
import { InvalidFileError, UnknownDTypeError } from "../errors.ts";
import { type DType, DTYPES, WEIGHT_DTYPES } from "../tensor/dtype.ts";
import type { ByteSource } from "./byte_source.ts";
import { crc32 } from "./crc32.ts";
import {
  entryOffset,
  FORGE_ALIGNMENT,
  FORGE_MAGIC,
  FORGE_VERSION,
  PARTS,
  type SectionName,
  SECTIONS,
  START_BYTES,
  START_CRC_OFFSET,
} from "./forge_layout.ts";
import { Cursor } from "./gguf_cursor.ts";
import { type Metadata, readMetadata } from "./gguf_metadata.ts";
import { type MetadataPair, splitPairs } from "./gguf_values.ts";
import { decodeText, parseJson, parseJsonObject } from "./json.ts";
import { checkLayout, MAX_DIMENSIONS, tensorBytes } from "./layout.ts";
import type { MetadataValue, ModelFile, TensorInfo } from "./model_file.ts";

/** More bytes than this before the tensors are damage: the largest vocabularies take about 40 MB. */
const MAX_HEADER = 256 * 1024 * 1024;

/** Bytes that `verify` reads at once. */
const PIECE_BYTES = 4 << 20;

/** Where a section lies. */
interface Section {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

type Sections = Readonly<Record<SectionName, Section>>;

/**
 * Opens a forge file. The model owns `source` from here on, and closes it where this throws: an
 * {@linkcode InvalidFileError} for a damaged file, an {@linkcode UnknownDTypeError} for a dtype code that is not known.
 */
export async function openForge(source: ByteSource): Promise<ModelFile> {
  try {
    const sections = await readStart(source);
    const header = await source.read(0, sections.data.offset);
    const section = (name: SectionName): Cursor => openSection(header, name, sections[name], source);
    const parts = new Map([...readParts(section("config")), ...readParts(section("tokenizer"))]);
    const tensors = readTable(section("tensors"), sections.data, source);
    return {
      ...describe(parts, source.name),
      format: "forge",
      name: source.name,
      bytes: source.size,
      tensors,
      verify: (signal) => verify(source, sections.data, [...tensors.values()], signal),
      close: () => source.close(),
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

async function readStart(source: ByteSource): Promise<Sections> {
  const { name: file, size } = source;
  // A view may be of any offset; the copy is not.
  const start = (await source.read(0, START_BYTES)).slice();
  const view = new DataView(start.buffer);
  const fail = (what: string, offset: number): InvalidFileError =>
    new InvalidFileError(what, { file, offset });
  if (FORGE_MAGIC.some((byte, i) => start[i] !== byte)) {
    throw fail("the first bytes are not those of a forge file; it was changed on the way, copy it again", 0);
  }
  const version = view.getUint32(8, true);
  if (version !== FORGE_VERSION) {
    throw fail(`forge version ${version} cannot be read, ${FORGE_VERSION} can; convert the model again`, 8);
  }
  const sum = crc32(start.subarray(0, START_CRC_OFFSET));
  if (view.getUint32(START_CRC_OFFSET, true) !== sum) throw damaged("the start", { file, offset: 0 });
  let end = START_BYTES;
  const sections = SECTIONS.map((name) => {
    const at = entryOffset(name);
    const offset = Number(view.getBigUint64(at, true));
    const length = Number(view.getBigUint64(at + 8, true));
    if (offset < end || offset % FORGE_ALIGNMENT !== 0 || offset + length > size) {
      throw fail(`the section ${name} lies at ${offset} to ${offset + length} of ${size} bytes`, at);
    }
    end = offset + length;
    return [name, { offset, length, crc: view.getUint32(at + 16, true) }] as const;
  });
  const byName = Object.fromEntries(sections) as unknown as Sections;
  if (byName.data.offset > MAX_HEADER) {
    throw fail(`the tensors start at ${byName.data.offset}, beyond ${MAX_HEADER}; the file is damaged`, 0);
  }
  return byName;
}

function damaged(what: string, place: { file: string; tensor?: string; offset: number }): InvalidFileError {
  return new InvalidFileError(`the checksum of ${what} is wrong; the file is damaged, copy it again`, place);
}

/** A cursor over a section whose checksum is right. */
function openSection(header: Uint8Array, name: SectionName, section: Section, source: ByteSource): Cursor {
  const { offset, length, crc } = section;
  const bytes = header.subarray(offset, offset + length);
  if (crc32(bytes) !== crc) throw damaged(`the section ${name}`, { file: source.name, offset });
  return new Cursor(bytes, length, `${source.name}, section ${name}`);
}

/** A count, then for each part its name, its length, its bytes. */
function readParts(cursor: Cursor): [string, Uint8Array][] {
  const count = cursor.count("parts", 8 + 8);
  return Array.from({ length: count }, () => {
    const name = cursor.string();
    const length = cursor.count("bytes", 1);
    const start = cursor.take(length);
    return [name, cursor.bytes.subarray(start, start + length)];
  });
}

/** The metadata and JSON files of a model, from the parts of both sections. */
function describe(
  parts: ReadonlyMap<string, Uint8Array>,
  file: string,
): Pick<ModelFile, "naming" | "metadata"> & Partial<ModelFile> {
  const text = (name: string): string | undefined => {
    const bytes = parts.get(name);
    return bytes && decodeText(bytes, { file, tensor: name });
  };
  const object = (name: string): Record<string, unknown> | undefined => {
    const json = text(name);
    return json === undefined ? undefined : parseJsonObject(json, { file, tensor: name });
  };
  const value = (name: string): (() => Promise<unknown>) | undefined =>
    parts.has(name) ? () => Promise.resolve(parseJson(text(name) ?? "", { file, tensor: name })) : undefined;
  const blocks = [...parts].filter(([name]) => name === PARTS.metadata || name === PARTS.ggufTokenizer);
  const pairs = blocks.map(([name, bytes]) => metadataOf(bytes, `${file}, ${name}`));
  const gguf = pairs.length > 0;
  const template = text(PARTS.chatTemplate);
  return {
    naming: gguf ? "gguf" : "hugging_face",
    metadata: gguf ? merged(pairs.map(({ metadata }) => metadata)) : strings(object(PARTS.strings)),
    ...(gguf
      ? {
        packedStrings: new Map(pairs.flatMap(({ packedStrings }) => [...packedStrings])),
        metadataPairs: () => Promise.resolve(pairs.flatMap(({ split }) => split())),
      }
      : {}),
    config: object(PARTS.config),
    generationConfig: object(PARTS.generationConfig),
    poolingConfig: object(PARTS.pooling),
    tokenizerJson: value(PARTS.tokenizer),
    tokenizerConfig: value(PARTS.tokenizerConfig),
    ...(template === undefined ? {} : { chatTemplate: () => Promise.resolve(template) }),
  };
}

/** A count, then pairs as GGUF has them. */
function metadataOf(bytes: Uint8Array, file: string): Metadata & { split: () => MetadataPair[] } {
  const cursor = new Cursor(bytes, bytes.length, file);
  const count = cursor.count("metadata pairs", 8 + 4 + 1);
  const start = cursor.at;
  return {
    ...readMetadata(cursor, count),
    split: () => splitPairs(bytes.subarray(start), count, file),
  };
}

/** One record of all; values that are decoded when they are asked for stay so. */
function merged(records: readonly Record<string, MetadataValue>[]): Record<string, MetadataValue> {
  const all: Record<string, MetadataValue> = Object.create(null);
  for (const record of records) Object.defineProperties(all, Object.getOwnPropertyDescriptors(record));
  return all;
}

function strings(object: Record<string, unknown> = {}): Record<string, MetadataValue> {
  const all: Record<string, MetadataValue> = Object.create(null);
  for (const [key, value] of Object.entries(object)) if (typeof value === "string") all[key] = value;
  return all;
}

/** A count, then for each tensor: name, dtype code, dimensions outermost first, offset in the data. */
function readTable(cursor: Cursor, data: Section, source: ByteSource): Map<string, TensorInfo> {
  const count = cursor.count("tensors", 8 + 4 + 4 + 8);
  const tensors = new Map<string, TensorInfo>();
  for (let i = 0; i < count; i++) {
    const tensor = readTensor(cursor, data, source);
    if (tensors.has(tensor.name)) throw cursor.error("the tensor occurs twice", cursor.at, tensor.name);
    tensors.set(tensor.name, tensor);
  }
  checkLayout(tensors.values(), source.name, data.offset + data.length);
  return tensors;
}

function readTensor(cursor: Cursor, data: Section, source: ByteSource): TensorInfo {
  const name = cursor.string();
  const dtype = dtypeOf(cursor.u32(), name, source.name);
  const dims = cursor.u32();
  if (dims > MAX_DIMENSIONS) {
    throw cursor.error(`${dims} dimensions are more than ${MAX_DIMENSIONS}`, cursor.at - 4, name);
  }
  const shape = Array.from({ length: dims }, () => Number(cursor.u64()));
  const offset = Number(cursor.u64());
  if (offset % FORGE_ALIGNMENT !== 0) {
    throw cursor.error(`the offset ${offset} is no multiple of ${FORGE_ALIGNMENT}`, cursor.at - 8, name);
  }
  const place = { file: source.name, tensor: name };
  return {
    name,
    dtype,
    shape,
    byteLength: tensorBytes(dtype, shape, place),
    offset: data.offset + offset,
    source,
  };
}

function dtypeOf(code: number, tensor: string, file: string): DType {
  const dtype = WEIGHT_DTYPES.find((name) => DTYPES[name].code === code);
  if (dtype) return dtype;
  throw new UnknownDTypeError(code, `${file}, tensor ${JSON.stringify(tensor)},`);
}

/** Reads everything once and compares all checksums of the data: each tensor's, then the whole file's. */
async function verify(
  source: ByteSource,
  data: Section,
  tensors: readonly TensorInfo[],
  signal?: AbortSignal,
): Promise<void> {
  const { name: file, size } = source;
  const end = data.offset + data.length;
  const expected = end + 4 * tensors.length + 4;
  if (size !== expected) {
    throw new InvalidFileError(`the file has ${size} bytes and must have ${expected}; copy it again`, {
      file,
    });
  }
  const view = new DataView((await source.read(end, size - end)).slice().buffer);
  let whole = 0;
  const sum = async (from: number, to: number): Promise<number> => {
    let crc = 0;
    for (let at = from; at < to; at += PIECE_BYTES) {
      signal?.throwIfAborted();
      const piece = await source.read(at, Math.min(PIECE_BYTES, to - at));
      crc = crc32(piece, crc);
      whole = crc32(piece, whole);
    }
    return crc;
  };
  let at = 0;
  for (const [i, { name, offset, byteLength }] of tensors.entries()) {
    await sum(at, offset);
    at = offset + byteLength;
    if (await sum(offset, at) !== view.getUint32(4 * i, true)) {
      throw damaged("the tensor", { file, tensor: name, offset });
    }
  }
  await sum(at, size - 4);
  if (whole !== view.getUint32(size - end - 4, true)) throw damaged("the whole file", { file, offset: at });
}
