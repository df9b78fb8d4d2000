/**
 * Writes safetensors: one file, or shards with an index as Hugging Face cuts them.
 *
 * Quantized tensors are U8 matrices of their blocks, row by row, for the format has no dtype for them. What they are
 * stands in `__metadata__` under {@linkcode QUANTIZED_KEY}, as a JSON object of dtypes by tensor.
 *
 * @module
 */
import { byteLength, type DType, isQuantized } from "../tensor/dtype.ts";
import { type ByteSink, type WriteOptions, writeTensor } from "./byte_sink.ts";
import { ByteWriter } from "./byte_writer.ts";
import { QUANTIZED_KEY } from "./safetensors.ts";
import type { TensorOut } from "./tensor_out.ts";

/** Header, then the tensors. The sink is left open. */
export async function writeSafetensors(
  sink: ByteSink,
  tensors: readonly TensorOut[],
  metadata: Readonly<Record<string, string>>,
  options?: WriteOptions,
): Promise<void> {
  const text = header(tensors, metadata);
  const bytes = new TextEncoder().encode(text);
  // The reference writer pads the header with spaces, so that the data start at a multiple of 8.
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(0x20);
  padded.set(bytes);
  sink.write(new ByteWriter().u64(padded.length).bytes(padded).finish());
  for (const tensor of tensors) await writeTensor(sink, tensor, options);
}

function header(tensors: readonly TensorOut[], metadata: Readonly<Record<string, string>>): string {
  const quantized = tensors.filter(({ dtype }) => isQuantized(dtype)).map(({ name, dtype }) => [name, dtype]);
  const own = quantized.length > 0
    ? { [QUANTIZED_KEY]: JSON.stringify(Object.fromEntries(quantized)) }
    : undefined;
  let end = 0;
  return JSON.stringify(Object.fromEntries([
    ["__metadata__", { ...metadata, ...own }],
    ...tensors.map((tensor) => {
      const start = end;
      end += tensor.byteLength;
      return [tensor.name, { ...stored(tensor), data_offsets: [start, end] }];
    }),
  ]));
}

/** How the format names a tensor's type, and its shape in elements of that type. */
function stored({ dtype, shape }: TensorOut): { dtype: string; shape: readonly number[] } {
  if (!isQuantized(dtype)) return { dtype: dtypeName(dtype), shape };
  return { dtype: "U8", shape: [...shape.slice(0, -1), byteLength(dtype, shape[shape.length - 1])] };
}

/** Name of a plain dtype in the format. */
export function dtypeName(dtype: DType): string {
  return dtype.toUpperCase();
}

/** Tensors that go into one file. */
export interface Shard {
  /** Name of the file. */
  readonly file: string;
  /** Its tensors. */
  readonly tensors: readonly TensorOut[];
}

/** Cuts a model into files of at most `limit` bytes of tensors, each tensor in one of them. */
export function shards(tensors: readonly TensorOut[], limit: number): Shard[] {
  const groups: TensorOut[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + tensor.byteLength > limit) {
      groups.push([]);
      bytes = 0;
    }
    groups[groups.length - 1].push(tensor);
    bytes += tensor.byteLength;
  }
  if (groups.length === 1) return [{ file: "model.safetensors", tensors }];
  const digits = (n: number): string => `${n}`.padStart(5, "0");
  return groups.map((group, i) => ({
    file: `model-${digits(i + 1)}-of-${digits(groups.length)}.safetensors`,
    tensors: group,
  }));
}

/** The index of a model in shards (`model.safetensors.index.json`). */
export function shardIndex(files: readonly Shard[]): Record<string, unknown> {
  const all = files.flatMap(({ tensors }) => tensors);
  return {
    metadata: { total_size: all.reduce((sum, { byteLength }) => sum + byteLength, 0) },
    weight_map: Object.fromEntries(
      files.flatMap(({ file, tensors }) => tensors.map(({ name }) => [name, file])),
    ),
  };
}
