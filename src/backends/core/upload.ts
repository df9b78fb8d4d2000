/**
 * Streams weights into the core: chunks of whole groups of rows, converted on the host only where the stored dtype is
 * not the wanted one.
 *
 * @module
 */
import { InvalidArgumentError, OutOfMemoryError, ShapeError } from "../../errors.ts";
import { byteLength, DTYPES } from "../../tensor/dtype.ts";
import { checkBlocks, elementCount } from "../../tensor/shape.ts";
import type { WeightSource, WeightSpec } from "../backend.ts";
import { type CoreAbi, coreError } from "./abi.ts";
import { heldDType } from "./held.ts";
import { CoreWeight, type Ledger } from "./ledger.ts";
import { AWAITED_CHUNK_BYTES, CHUNK_BYTES, type Staging } from "./staging.ts";

/** Rows that the core packs together. */
const GROUP_ROWS = 16;

/** What an upload works with. */
export interface Uploader {
  readonly name: string;
  readonly abi: CoreAbi;
  readonly ledger: Ledger;
  readonly staging: Staging;
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
  // Of one group, because a 32-bit core cannot tell more bytes than it can have.
  const bytes = abi.weightBytes(DTYPES[heldDType(spec.dtype)].code, GROUP_ROWS, columns);
  if (bytes === 0) throw new InvalidArgumentError(`weight ${spec.name}: ${spec.dtype} cannot be packed`);
  return bytes * Math.ceil(rows / GROUP_ROWS);
}

/** Streams a weight to its place. */
export async function upload(
  to: Uploader,
  spec: WeightSpec,
  source: WeightSource,
  signal?: AbortSignal,
): Promise<CoreWeight> {
  checkBlocks(source.dtype, spec.shape);
  const expected = byteLength(source.dtype, elementCount(spec.shape));
  if (source.byteLength !== expected) {
    throw new InvalidArgumentError(
      `weight ${spec.name}: ${source.dtype}[${spec.shape}] has ${expected} bytes and its source ${source.byteLength}`,
    );
  }
  const weight = create(to, spec);
  try {
    const fill = spec.layout === "plain" ? fillPlain : packRows;
    await fill(to, weight, source, signal);
    return weight;
  } catch (error) {
    to.ledger.free(weight);
    throw error;
  }
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
  const handle = abi.weightCreate(DTYPES[heldDType(spec.dtype)].code, rows, columns);
  if (handle === 0) throw coreError(abi, { backend: name, what, required: bytes, available });
  return ledger.hold(new CoreWeight(spec, handle, bytes));
}

/** Some whole rows of a weight. */
interface Chunk {
  /** Position of the first row. */
  readonly row: number;
  /** Position of its first element. */
  readonly first: number;
  /** Elements of all its rows. */
  readonly elements: number;
  /** Where it starts in the source, in bytes. */
  readonly offset: number;
  /** Length in the source, in bytes. */
  readonly bytes: number;
}

function* chunks(spec: WeightSpec, { dtype: stored, readSync }: WeightSource): Generator<Chunk> {
  const columns = spec.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : elementCount(spec.shape) / columns;
  const rowBytes = byteLength(stored, columns);
  // Where rows are converted, what they are converted through is F32.
  const widest = stored === heldDType(spec.dtype) ? rowBytes : 4 * columns;
  const most = readSync ? CHUNK_BYTES : AWAITED_CHUNK_BYTES;
  const step = Math.max(1, Math.floor(most / widest / GROUP_ROWS)) * GROUP_ROWS;
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    yield {
      row,
      first: row * columns,
      elements: count * columns,
      offset: row * rowBytes,
      bytes: count * rowBytes,
    };
  }
}

/** The bytes of a chunk; they may be the source's own. */
async function readChunk(source: WeightSource, { offset, bytes }: Chunk): Promise<Uint8Array> {
  if (source.readSync) {
    const chunk = new Uint8Array(bytes);
    source.readSync(offset, chunk);
    return chunk;
  }
  const chunk = await source.read(offset, bytes);
  if (chunk.length === bytes) return chunk;
  throw new InvalidArgumentError(
    `a weight's source gave ${chunk.length} of the ${bytes} bytes at ${offset}`,
  );
}

/** Fills a dense F32 weight. */
async function fillPlain(
  { abi }: Uploader,
  weight: CoreWeight,
  source: WeightSource,
  signal?: AbortSignal,
): Promise<void> {
  const convert = source.dtype === "f32" ? undefined : (await import("../../tensor/quantize.ts")).dequantize;
  for (const chunk of chunks(weight.spec, source)) {
    signal?.throwIfAborted();
    const direct = convert ? undefined : source.readSync?.bind(source);
    const stored = direct ? undefined : await readChunk(source, chunk);
    // Only now: memory may have grown while we waited.
    const place = abi.view(weight.address + 4 * chunk.first, 4 * chunk.elements);
    if (!stored) direct?.(chunk.offset, place);
    else if (!convert) place.set(stored);
    else convert(source.dtype, stored, new Float32Array(place.buffer, place.byteOffset, chunk.elements));
  }
}

/** Packs rows chunk by chunk. */
async function packRows(
  { name, abi, ledger, staging }: Uploader,
  weight: CoreWeight,
  source: WeightSource,
  signal?: AbortSignal,
): Promise<void> {
  const dtype = heldDType(weight.spec.dtype);
  const what = `weight ${weight.spec.name}`;
  const convert = source.dtype === dtype ? undefined : (await import("../../tensor/quantize.ts")).transcode;
  for (const chunk of chunks(weight.spec, source)) {
    signal?.throwIfAborted();
    const direct = convert ? undefined : source.readSync?.bind(source);
    const stored = direct ? undefined : await readChunk(source, chunk);
    // From here on nothing waits: other uploads may use the staging too.
    const bytes = byteLength(dtype, chunk.elements);
    const { available } = ledger;
    const address = bytes <= available ? staging.take(bytes) : 0;
    if (address === 0) {
      throw new OutOfMemoryError({ required: bytes, available, what: `the upload of ${what}` });
    }
    const place = abi.view(address, bytes);
    if (!stored) direct?.(chunk.offset, place);
    else place.set(convert ? convert(source.dtype, dtype, stored) : stored);
    if (abi.weightWrite(weight.address, chunk.row, address, bytes) !== 0) {
      throw coreError(abi, { backend: name, what, available: ledger.available });
    }
  }
}
