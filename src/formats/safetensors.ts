/**
 * One safetensors file: eight bytes of length, a JSON header, then the tensors (safetensors, "Format").
 *
 * @module
 */

import { InvalidFileError, UnknownDTypeError } from "../errors.ts";
import { type DType, DTYPES, isQuantized, WEIGHT_DTYPES } from "../tensor/dtype.ts";
import type { ByteSource } from "./byte_source.ts";
import { decodeText, duplicateKey, isObject, type JsonObject, parseJsonObject } from "./json.ts";
import { checkLayout, elementCount } from "./layout.ts";
import type { TensorInfo } from "./model_file.ts";

/** Longest header that is read, the limit of the reference implementation. */
const MAX_HEADER = 100_000_000;

/** The dtypes of the format: bytes of an element, and the name here where it can be read. */
const DTYPES_BY_NAME: Readonly<Record<string, { readonly bytes: number; readonly dtype?: DType }>> = {
  F32: { bytes: 4, dtype: "f32" },
  F16: { bytes: 2, dtype: "f16" },
  BF16: { bytes: 2, dtype: "bf16" },
  I8: { bytes: 1, dtype: "i8" },
  U8: { bytes: 1, dtype: "u8" },
  I16: { bytes: 2, dtype: "i16" },
  I32: { bytes: 4, dtype: "i32" },
  I64: { bytes: 8, dtype: "i64" },
  F64: { bytes: 8, dtype: "f64" },
  BOOL: { bytes: 1 },
};

/**
 * Buffers that older checkpoints carry beside their weights, some of them BOOL. No model reads them, so a dtype
 * that cannot be read is no reason to refuse the file.
 */
const BOOKKEEPING =
  /(^|\.)(position_ids|num_batches_tracked|attn\.(masked_)?bias|attention\.(masked_)?bias)$/;

/** Key in `__metadata__` of the dtypes of quantized tensors, which the file calls U8: a JSON object, by tensor. */
export const QUANTIZED_KEY = "llmforge.quantized";

/** What one file holds. */
export interface SafetensorsContent {
  /** The `__metadata__` of the file. */
  readonly metadata: Record<string, string>;
  /** Its tensors, in the order of the header. */
  readonly tensors: Map<string, TensorInfo>;
}

/**
 * Reads the header of a safetensors file. Throws an {@linkcode InvalidFileError} for a damaged file and an
 * {@linkcode UnknownDTypeError} for a dtype that cannot be read.
 */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsContent> {
  const { name: file, size } = source;
  const length = new DataView((await source.read(0, 8)).slice().buffer).getBigUint64(0, true);
  if (length > MAX_HEADER) {
    throw new InvalidFileError(
      `a header of ${length} bytes is more than ${MAX_HEADER}; the file is damaged`,
      {
        file,
        offset: 0,
      },
    );
  }
  const dataStart = 8 + Number(length);
  if (dataStart > size) {
    throw new InvalidFileError(
      `the file is truncated: its header ends at byte ${dataStart} and the file at ${size}`,
      {
        file,
        offset: 8,
      },
    );
  }
  const place = { file, offset: 8 };
  const text = decodeText(await source.read(8, Number(length)), place);
  const header = parseJsonObject(text, place);
  const twice = duplicateKey(text);
  if (twice !== undefined) throw new InvalidFileError("the tensor occurs twice", { ...place, tensor: twice });
  const metadata = readMetadata(header["__metadata__"], file);
  const quantized = readQuantized(metadata, file);
  const tensors = new Map<string, TensorInfo>();
  const layout: Pick<TensorInfo, "name" | "offset" | "byteLength">[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, ...tensor } = readEntry(name, entry, source, dataStart);
    layout.push(tensor);
    if (dtype) tensors.set(name, asQuantized({ ...tensor, dtype }, quantized.get(name), file));
  }
  checkLayout(layout, file, size);
  return { metadata, tensors };
}

/** A tensor of the header; without a dtype where it is {@linkcode BOOKKEEPING} that cannot be read. */
type Entry = Omit<TensorInfo, "dtype"> & { readonly dtype?: DType };

function readEntry(name: string, entry: unknown, source: ByteSource, dataStart: number): Entry {
  const place = { file: source.name, tensor: name };
  if (!isObject(entry)) throw new InvalidFileError("the tensor's entry is not an object", place);
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry as JsonObject;
  if (typeof dtypeName !== "string") throw new InvalidFileError("the tensor has no dtype", place);
  if (!Array.isArray(shape)) throw new InvalidFileError("the tensor has no shape", place);
  const known = Object.hasOwn(DTYPES_BY_NAME, dtypeName) ? DTYPES_BY_NAME[dtypeName] : undefined;
  if (!known || (!known.dtype && !BOOKKEEPING.test(name))) {
    throw new UnknownDTypeError(dtypeName, `${source.name}, tensor ${JSON.stringify(name)},`);
  }
  const byteLength = elementCount(shape, place) * known.bytes;
  if (!isRange(offsets)) {
    throw new InvalidFileError(`data_offsets ${JSON.stringify(offsets)} are not a start and an end`, place);
  }
  const [begin, end] = offsets;
  const offset = dataStart + begin;
  if (end - begin !== byteLength) {
    throw new InvalidFileError(
      `data_offsets span ${end - begin} bytes and ${dtypeName} [${shape.join(", ")}] takes ${byteLength}`,
      { ...place, offset },
    );
  }
  return { name, dtype: known.dtype, shape, byteLength, offset, source };
}

function isRange(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 &&
    value.every((v) => Number.isSafeInteger(v) && v >= 0) &&
    value[0] <= value[1];
}

function readMetadata(value: unknown, file: string): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null);
  if (value === undefined) return metadata;
  const place = { file, tensor: "__metadata__" };
  if (!isObject(value)) throw new InvalidFileError("the metadata is not an object", place);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      throw new InvalidFileError(`the metadata ${JSON.stringify(key)} is not text`, place);
    }
    metadata[key] = text;
  }
  return metadata;
}

/** The dtypes of the tensors that hold blocks. */
function readQuantized(metadata: Record<string, string>, file: string): Map<string, DType> {
  const text = metadata[QUANTIZED_KEY];
  if (text === undefined) return new Map();
  return new Map(
    Object.entries(parseJsonObject(text, { file, tensor: QUANTIZED_KEY })).map(([name, dtype]) => {
      const known = WEIGHT_DTYPES.find((weight) => weight === dtype);
      if (known) return [name, known];
      throw new UnknownDTypeError(String(dtype), `${file}, tensor ${JSON.stringify(name)},`);
    }),
  );
}

/** The tensor with the dtype of its blocks, where it has one. */
function asQuantized(tensor: TensorInfo, dtype: DType | undefined, file: string): TensorInfo {
  if (dtype === undefined) return tensor;
  const { blockSize, blockBytes } = DTYPES[dtype];
  const rowBytes = tensor.shape.at(-1) ?? 0;
  if (tensor.dtype !== "u8" || !isQuantized(dtype) || rowBytes % blockBytes !== 0) {
    const what = `${tensor.dtype} [${tensor.shape.join(", ")}] does not hold rows of ${dtype} blocks`;
    throw new InvalidFileError(what, { file, tensor: tensor.name, offset: tensor.offset });
  }
  return { ...tensor, dtype, shape: [...tensor.shape.slice(0, -1), rowBytes / blockBytes * blockSize] };
}
