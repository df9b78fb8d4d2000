/**
 * Writes the own format, front to back.
 *
 * @module
 */
import { DTYPES } from "../tensor/dtype.ts";
import { type ByteSink, type WriteOptions, writePadding, writeTensor } from "./byte_sink.ts";
import { ByteWriter } from "./byte_writer.ts";
import { crc32 } from "./crc32.ts";
import {
  entryOffset,
  FORGE_ALIGNMENT,
  FORGE_MAGIC,
  FORGE_VERSION,
  SECTIONS,
  START_BYTES,
  START_CRC_OFFSET,
} from "./forge_layout.ts";
import { writeString } from "./gguf_values.ts";
import type { TensorOut } from "./tensor_out.ts";

/** Parts of a section by name. */
export type ForgeParts = Readonly<Record<string, Uint8Array>>;

/** What goes into a file. */
export interface ForgeContent {
  /** Parts of the configuration. */
  readonly config: ForgeParts;
  /** Parts of the tokenizer. */
  readonly tokenizer: ForgeParts;
  /** The tensors in their order, with the names of their source. */
  readonly tensors: readonly TensorOut[];
}

/** Writes the sections, the tensors as they come, and the checksums at the end. The sink is left open. */
export async function writeForge(
  sink: ByteSink,
  { config, tokenizer, tensors }: ForgeContent,
  options?: WriteOptions,
): Promise<void> {
  const head = header([partsSection(config), partsSection(tokenizer), tableSection(tensors)], tensors);
  sink.write(head);
  let whole = crc32(head);
  const sums = new ByteWriter();
  for (const tensor of tensors) {
    let sum = 0;
    await writeTensor(sink, tensor, options, (piece) => {
      sum = crc32(piece, sum);
      whole = crc32(piece, whole);
    });
    sums.u32(sum);
    whole = crc32(new Uint8Array(writePadding(sink, tensor.byteLength, FORGE_ALIGNMENT)), whole);
  }
  const bytes = sums.finish();
  sink.write(bytes);
  sink.write(new ByteWriter().u32(crc32(bytes, whole)).finish());
}

/** The start and the sections before the data, padded to where the data begin. */
function header(sections: readonly Uint8Array[], tensors: readonly TensorOut[]): Uint8Array {
  const start = new Uint8Array(START_BYTES);
  const view = new DataView(start.buffer);
  start.set(FORGE_MAGIC);
  view.setUint32(8, FORGE_VERSION, true);
  const enter = (at: number, offset: number, length: number, crc: number): void => {
    view.setBigUint64(at, BigInt(offset), true);
    view.setBigUint64(at + 8, BigInt(length), true);
    view.setUint32(at + 16, crc, true);
  };
  const w = new ByteWriter().bytes(start);
  sections.forEach((section, i) => {
    enter(entryOffset(SECTIONS[i]), w.length, section.length, crc32(section));
    w.bytes(section).align(FORGE_ALIGNMENT);
  });
  // The data's checksums stand behind them: they are not known yet.
  enter(entryOffset("data"), w.length, dataBytes(tensors), 0);
  view.setUint32(START_CRC_OFFSET, crc32(start.subarray(0, START_CRC_OFFSET)), true);
  const bytes = w.finish();
  bytes.set(start);
  return bytes;
}

const aligned = (length: number): number => Math.ceil(length / FORGE_ALIGNMENT) * FORGE_ALIGNMENT;

function dataBytes(tensors: readonly TensorOut[]): number {
  return tensors.reduce((sum, { byteLength }) => sum + aligned(byteLength), 0);
}

/** A count, then for each part its name, its length, its bytes. */
function partsSection(parts: ForgeParts): Uint8Array {
  const entries = Object.entries(parts);
  const w = new ByteWriter().u64(entries.length);
  for (const [name, bytes] of entries) {
    writeString(w, name);
    w.u64(bytes.length).bytes(bytes);
  }
  return w.finish();
}

/** A count, then for each tensor: name, dtype code, dimensions outermost first, offset in the data. */
function tableSection(tensors: readonly TensorOut[]): Uint8Array {
  const w = new ByteWriter().u64(tensors.length);
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    writeString(w, name);
    w.u32(DTYPES[dtype].code).u32(shape.length);
    for (const dim of shape) w.u64(dim);
    w.u64(offset);
    offset += aligned(byteLength);
  }
  return w.finish();
}
