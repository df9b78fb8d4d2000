/**
 * Streams weights into the core: chunks of whole groups of rows, converted on the host only where the stored dtype is
 * not the wanted one.
 *
 * @module
 */
import { InvalidArgumentError, OutOfMemoryError, ShapeError } from "../../errors.ts";
import { byteLength, type DType, DTYPES } from "../../tensor/dtype.ts";
import { checkBlocks, elementCount } from "../../tensor/shape.ts";
import type { WeightSource, WeightSpec } from "../backend.ts";
import { type CoreAbi, coreError } from "./abi.ts";
import { heldDType } from "./held.ts";
import { CoreWeight, type Ledger } from "./ledger.ts";

/** About how many bytes go through at once. */
const CHUNK_BYTES = 512 << 10;

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

function* chunks(spec: WeightSpec, stored: DType): Generator<Chunk> {
  const columns = spec.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : elementCount(spec.shape) / columns;
  const rowBytes = byteLength(stored, columns);
  // Where rows are converted, what they are converted through is F32.
  const widest = stored === heldDType(spec.dtype) ? rowBytes : 4 * columns;
  const step = Math.max(1, Math.floor(CHUNK_BYTES / widest / GROUP_ROWS)) * GROUP_ROWS;
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

/** Reads a chunk to a place, which is asked for as late as can be: memory may grow while we wait. */
async function readTo(source: WeightSource, chunk: Chunk, place: () => Uint8Array): Promise<void> {
  if (source.readSync) {
    source.readSync(chunk.offset, place());
    return;
  }
  const bytes = await source.read(chunk.offset, chunk.bytes);
  if (bytes.length !== chunk.bytes) {
    throw new InvalidArgumentError(
      `a weight's source gave ${bytes.length} of the ${chunk.bytes} bytes at ${chunk.offset}`,
    );
  }
  place().set(bytes);
}

/** Fills a dense F32 weight. */
async function fillPlain(
  { abi }: Uploader,
  weight: CoreWeight,
  source: WeightSource,
  signal?: AbortSignal,
): Promise<void> {
  for (const chunk of chunks(weight.spec, source.dtype)) {
    signal?.throwIfAborted();
    const place = (): Uint8Array<ArrayBuffer> =>
      abi.view(weight.address + 4 * chunk.first, 4 * chunk.elements);
    if (source.dtype === "f32") {
      await readTo(source, chunk, place);
      continue;
    }
    const { dequantize } = await import("../../tensor/quantize.ts");
    const stored = new Uint8Array(chunk.bytes);
    await readTo(source, chunk, () => stored);
    const { buffer, byteOffset } = place();
    dequantize(source.dtype, stored, new Float32Array(buffer, byteOffset, chunk.elements));
  }
}

/** Packs rows chunk by chunk, through a small staging buffer. */
async function packRows(
  { name, abi, ledger }: Uploader,
  weight: CoreWeight,
  source: WeightSource,
  signal?: AbortSignal,
): Promise<void> {
  const dtype = heldDType(weight.spec.dtype);
  const what = `weight ${weight.spec.name}`;
  const all = [...chunks(weight.spec, source.dtype)];
  // The first chunk is the largest.
  const staging = ledger.alloc(byteLength(dtype, all[0].elements), `the upload of ${what}`);
  try {
    for (const chunk of all) {
      signal?.throwIfAborted();
      const bytes = byteLength(dtype, chunk.elements);
      const place = (): Uint8Array => abi.view(staging.address, bytes);
      if (source.dtype === dtype) await readTo(source, chunk, place);
      else {
        const { transcode } = await import("../../tensor/quantize.ts");
        const stored = new Uint8Array(chunk.bytes);
        await readTo(source, chunk, () => stored);
        place().set(transcode(source.dtype, dtype, stored));
      }
      if (abi.weightWrite(weight.address, chunk.row, staging.address, bytes) !== 0) {
        throw coreError(abi, { backend: name, what, available: ledger.available });
      }
    }
  } finally {
    ledger.free(staging);
  }
}
