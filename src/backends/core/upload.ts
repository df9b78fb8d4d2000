/**
 * Streams weights into the core: chunks of whole groups of rows, converted on the host only where the stored dtype is
 * not the wanted one.
 *
 * @module
 */
import { InvalidArgumentError, OutOfMemoryError, ShapeError } from "../../errors.ts";
import { byteLength, type DType, DTYPES } from "../../tensor/dtype.ts";
import { dequantize, quantize } from "../../tensor/quantize.ts";
import { checkBlocks, elementCount } from "../../tensor/shape.ts";
import type { WeightSource, WeightSpec } from "../backend.ts";
import { type CoreAbi, coreError } from "./abi.ts";
import { CoreWeight, type Ledger } from "./ledger.ts";

/** About how many bytes go through at once. */
const CHUNK_BYTES = 2 << 20;

/** Rows that the core packs together. */
const GROUP_ROWS = 16;

/** What an upload works with. */
export interface Uploader {
  readonly name: string;
  readonly abi: CoreAbi;
  readonly ledger: Ledger;
}

/** Rows and columns of a packed weight. */
function matrix(spec: WeightSpec): [rows: number, columns: number] {
  if (spec.shape.length !== 2 || spec.shape.includes(0)) {
    throw new ShapeError(
      `weight ${spec.name}: a packed weight must be [out, in] and not empty, got [${spec.shape}]`,
    );
  }
  checkBlocks(spec.dtype, spec.shape);
  return [spec.shape[0], spec.shape[1]];
}

/** Bytes that a weight will take. */
export function weightBytes(abi: CoreAbi, spec: WeightSpec): number {
  if (spec.layout === "plain") return 4 * elementCount(spec.shape);
  const [rows, columns] = matrix(spec);
  const bytes = abi.weightBytes(DTYPES[spec.dtype].code, rows, columns);
  if (bytes === 0) throw new InvalidArgumentError(`weight ${spec.name}: ${spec.dtype} cannot be packed`);
  return bytes;
}

/** Streams a weight to its place. */
export async function upload(
  to: Uploader,
  spec: WeightSpec,
  source: WeightSource,
  signal?: AbortSignal,
): Promise<CoreWeight> {
  const expected = byteLength(source.dtype, elementCount(spec.shape));
  checkBlocks(source.dtype, spec.shape);
  if (source.byteLength !== expected) {
    throw new InvalidArgumentError(
      `weight ${spec.name}: ${source.dtype}[${spec.shape}] has ${expected} bytes and its source ${source.byteLength}`,
    );
  }
  const weight = create(to, spec);
  let scratch: Uint8Array | undefined;
  try {
    for (const chunk of chunks(spec, source.dtype)) {
      signal?.throwIfAborted();
      const bytes = source.readSync
        ? readInto(source, chunk, scratch ??= new Uint8Array(chunk.bytes))
        : await source.read(chunk.offset, chunk.bytes);
      if (bytes.length !== chunk.bytes) {
        throw new InvalidArgumentError(
          `weight ${spec.name}: its source gave ${bytes.length} of ${chunk.bytes} bytes at ${chunk.offset}`,
        );
      }
      if (spec.layout === "plain") fillPlain(to, weight, bytes, source.dtype, chunk);
      else packRows(to, weight, bytes, source.dtype, chunk);
    }
    return weight;
  } catch (error) {
    to.ledger.free(weight);
    throw error;
  }
}

/** Reads a chunk into memory that all chunks of a weight share; the first one is the longest. */
function readInto(source: WeightSource, { offset, bytes }: Chunk, scratch: Uint8Array): Uint8Array {
  const into = scratch.subarray(0, bytes);
  source.readSync?.(offset, into);
  return into;
}

function create({ name, abi, ledger }: Uploader, spec: WeightSpec): CoreWeight {
  const bytes = weightBytes(abi, spec);
  const what = `weight ${spec.name}`;
  const { available } = ledger;
  if (bytes > available) throw new OutOfMemoryError({ required: bytes, available, what });
  if (spec.layout === "plain") {
    const address = abi.alloc(bytes);
    if (address === 0) throw new OutOfMemoryError({ required: bytes, available, what });
    return ledger.hold(new CoreWeight(spec, address, bytes));
  }
  const [rows, columns] = matrix(spec);
  const handle = abi.weightCreate(DTYPES[spec.dtype].code, rows, columns);
  if (handle === 0) throw coreError(abi, { backend: name, what, required: bytes, available });
  return ledger.hold(new CoreWeight(spec, handle, bytes));
}

/** Some whole rows of a weight. */
interface Chunk {
  /** Position of the first row. */
  readonly row: number;
  /** Elements of all its rows. */
  readonly elements: number;
  /** Where it starts in the source, in bytes. */
  readonly offset: number;
  /** Length in the source, in bytes. */
  readonly bytes: number;
}

function* chunks(spec: WeightSpec, stored: DType): Generator<Chunk> {
  const columns = spec.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : elementCount(spec.shape) / columns;
  const rowBytes = byteLength(stored, columns);
  // Where rows are converted, what they are converted through is F32.
  const widest = stored === spec.dtype ? rowBytes : 4 * columns;
  const step = Math.max(1, Math.floor(CHUNK_BYTES / widest / GROUP_ROWS)) * GROUP_ROWS;
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    yield { row, elements: count * columns, offset: row * rowBytes, bytes: count * rowBytes };
  }
}

function fillPlain(
  { abi }: Uploader,
  weight: CoreWeight,
  bytes: Uint8Array,
  stored: DType,
  { row, elements }: Chunk,
): void {
  const columns = weight.spec.shape.at(-1) ?? 1;
  const place = abi.view(weight.address + 4 * row * columns, 4 * elements);
  if (stored === "f32") place.set(bytes);
  else dequantize(stored, bytes, new Float32Array(place.buffer, place.byteOffset, elements));
}

function packRows(
  { name, abi, ledger }: Uploader,
  weight: CoreWeight,
  bytes: Uint8Array,
  stored: DType,
  { row, elements }: Chunk,
): void {
  const { dtype } = weight.spec;
  const rows = stored === dtype
    ? bytes
    : quantize(dtype, dequantize(stored, bytes, new Float32Array(elements)));
  const what = `weight ${weight.spec.name}`;
  const staging = ledger.alloc(rows.length, `the upload of ${what}`);
  try {
    abi.view(staging.address, rows.length).set(rows);
    if (abi.weightWrite(weight.address, row, staging.address, rows.length) !== 0) {
      throw coreError(abi, { backend: name, what, available: ledger.available });
    }
  } finally {
    ledger.free(staging);
  }
}
