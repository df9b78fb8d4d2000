/**
 * GGUF, versions 2 and 3: the header alone is read, in growing pieces; tensors are left where they are.
 *
 * @module
 */

import { InvalidFileError, UnknownDTypeError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { Cursor, NeedMoreBytes } from "./gguf_cursor.ts";
import { type Metadata, readMetadata } from "./gguf_metadata.ts";
import { GGUF_DTYPES, GGUF_OTHER_TYPES, isGguf } from "./gguf_types.ts";
import { checkLayout, MAX_DIMENSIONS, tensorBytes } from "./layout.ts";
import type { MetadataValue, ModelFile, TensorInfo } from "./model_file.ts";

/**
 * Bytes of the first piece of the header: enough for a vocabulary of 50,000, because pieces that were too short stay in
 * memory as garbage for as long as the weights load. Each further one doubles what there is.
 */
const FIRST_PIECE = 2 * 1024 * 1024;

/** A longer header than this is damage: the largest vocabularies take about 20 MB. */
const MAX_HEADER = 256 * 1024 * 1024;

/** Where the data section and the tensors in it start, unless `general.alignment` says otherwise. */
const DEFAULT_ALIGNMENT = 32;

/** What the header says. */
interface Header extends Metadata {
  readonly tensors: Map<string, TensorInfo>;
  /** Where the metadata pairs lie, and how many there are. */
  readonly pairs: { readonly start: number; readonly end: number; readonly count: number };
}

/**
 * Opens a GGUF file. The model owns `source` from here on, and closes it where this throws: an
 * {@linkcode InvalidFileError} for a damaged file, an {@linkcode UnknownDTypeError} for a tensor type that cannot be
 * read.
 */
export async function openGguf(source: ByteSource): Promise<ModelFile> {
  try {
    const { pairs, ...header } = await readHeader(source);
    return {
      format: "gguf",
      naming: "gguf",
      name: source.name,
      bytes: source.size,
      ...header,
      metadataPairs: async () => {
        const { splitPairs } = await import("./gguf_values.ts");
        return splitPairs(await source.read(pairs.start, pairs.end - pairs.start), pairs.count, source.name);
      },
      close: () => source.close(),
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Parses what there is of the header, and again from the start with more of it until that is enough. */
async function readHeader(source: ByteSource): Promise<Header> {
  let bytes = await source.read(0, Math.min(source.size, FIRST_PIECE));
  for (;;) {
    try {
      return parseHeader(new Cursor(bytes, source.size, source.name), source);
    } catch (error) {
      if (!(error instanceof NeedMoreBytes)) throw error;
      if (error.until > MAX_HEADER) {
        throw new InvalidFileError(`the header is longer than ${MAX_HEADER} bytes; the file is damaged`, {
          file: source.name,
          offset: bytes.length,
        });
      }
      bytes = await extend(source, bytes, Math.min(source.size, Math.max(2 * bytes.length, error.until)));
    }
  }
}

/** The first `length` bytes of the source, of which `have` are there already. */
async function extend(source: ByteSource, have: Uint8Array, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  bytes.set(have);
  const rest = bytes.subarray(have.length);
  if (source.readSync) source.readSync(have.length, rest);
  else rest.set(await source.read(have.length, rest.length));
  return bytes;
}

function parseHeader(cursor: Cursor, source: ByteSource): Header {
  const magic = cursor.take(4);
  if (!isGguf(cursor.bytes.subarray(magic))) {
    throw cursor.error('the file does not start with "GGUF"; give a GGUF file', magic);
  }
  checkVersion(cursor);
  // A tensor is at least: name length, dimension count, type, offset. A pair is at least: key length, type, a byte.
  const tensorCount = cursor.count("tensors", 8 + 4 + 4 + 8);
  const pairCount = cursor.count("metadata pairs", 8 + 4 + 1);
  const start = cursor.at;
  const { metadata, packedStrings } = readMetadata(cursor, pairCount);
  const pairs = { start, end: cursor.at, count: pairCount };
  refuseSplit(cursor, metadata);
  const alignment = alignmentOf(cursor, metadata);

  const relative: Placed[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) relative.push(readTensor(cursor, alignment, names));

  const dataStart = Math.ceil(cursor.at / alignment) * alignment;
  const tensors = new Map<string, TensorInfo>();
  for (const tensor of relative) {
    tensors.set(tensor.name, { ...tensor, offset: dataStart + tensor.offset, source });
  }
  checkLayout(tensors.values(), source.name, source.size);
  return { metadata, packedStrings, tensors, pairs };
}

function checkVersion(cursor: Cursor): void {
  const version = cursor.u32();
  if (version === 2 || version === 3) return;
  const reason = version !== 0 && (version & 0xffff) === 0
    ? "the file is big-endian; convert it to little-endian"
    : `GGUF version ${version} cannot be read; convert the model again, to version 3`;
  throw cursor.error(reason, cursor.at - 4);
}

/** A model in several GGUF files would be read as one that lacks most of its tensors. */
function refuseSplit(cursor: Cursor, metadata: Record<string, MetadataValue>): void {
  const parts = metadata["split.count"];
  if (typeof parts === "number" && parts > 1) {
    throw cursor.error(
      `this is one of ${parts} parts; merge them with "llama-gguf-split --merge"`,
      0,
      "split.count",
    );
  }
}

function alignmentOf(cursor: Cursor, metadata: Record<string, MetadataValue>): number {
  const key = "general.alignment";
  const alignment = metadata[key] ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== "number" || !(alignment >= 1) || !Number.isInteger(Math.log2(alignment))) {
    throw cursor.error(
      `the alignment ${alignment} is not a power of two; the file is damaged`,
      undefined,
      key,
    );
  }
  return alignment;
}

/** A tensor whose offset is still that in the data section. */
type Placed = Omit<TensorInfo, "source">;

/** Reads one "tensor info" (GGUF spec): name, dimensions innermost first, type, offset in the data section. */
function readTensor(cursor: Cursor, alignment: number, names: Set<string>): Placed {
  const start = cursor.at;
  const name = cursor.string();
  if (names.has(name)) throw cursor.error("the tensor occurs twice", start, name);
  names.add(name);

  const dims = cursor.u32();
  if (dims > MAX_DIMENSIONS) {
    throw cursor.error(
      `${dims} dimensions are more than ${MAX_DIMENSIONS}; the file is damaged`,
      cursor.at - 4,
      name,
    );
  }
  const shape: number[] = [];
  // A bigint is as impossible a dimension as 0, and `tensorBytes` refuses both.
  for (let d = 0; d < dims; d++) shape.unshift(Number(cursor.u64()));

  const type = cursor.u32();
  const dtype = GGUF_DTYPES[type];
  if (!dtype) {
    throw new UnknownDTypeError(
      GGUF_OTHER_TYPES[type] ?? type,
      `${cursor.file}, tensor ${JSON.stringify(name)},`,
    );
  }
  const byteLength = tensorBytes(dtype, shape, { file: cursor.file, tensor: name, offset: start });

  const offset = cursor.u64();
  if (typeof offset !== "number" || offset > cursor.size) {
    throw cursor.error(`the tensor starts at ${offset}, beyond the end of the file`, cursor.at - 8, name);
  }
  if (offset % alignment !== 0) {
    throw cursor.error(
      `the tensor's offset ${offset} is not a multiple of ${alignment}`,
      cursor.at - 8,
      name,
    );
  }
  return { name, dtype, shape, byteLength, offset };
}
