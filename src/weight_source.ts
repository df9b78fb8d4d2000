/**
 * The bytes of a weight as a Program wants them, out of tensors as a file has them: rows cut from a fused tensor,
 * tensors one after another, matrices turned. Nothing is held beyond what is asked for, but for the block of a turned
 * matrix.
 *
 * @module
 */
import type { WeightSource } from "./backends/backend.ts";
import { DTypeError } from "./errors.ts";
import type { TensorInfo } from "./formats/model_file.ts";
import type { WeightPlace } from "./models/architecture.ts";
import { byteLength, type DType, DTYPES, isQuantized } from "./tensor/dtype.ts";

/** A turned matrix is held in blocks of at most this many bytes. */
const BLOCK_BYTES = 64 << 20;
/** About how many bytes of a matrix that is being turned are read at once. */
const READ_BYTES = 1 << 20;

/** The weight that lies in these tensors; `blockBytes` bounds what a turned matrix holds in memory. */
export function weightSource(
  place: WeightPlace,
  tensors: readonly TensorInfo[],
  blockBytes: number = BLOCK_BYTES,
): WeightSource {
  const runs = tensors.flatMap((tensor) => {
    const source = place.transposed ? transposed(tensor, blockBytes) : tensorSource(tensor);
    const columns = place.transposed ? tensor.shape[0] : tensor.shape[1] ?? 1;
    return rowRuns(source, place, byteLength(tensor.dtype, columns));
  });
  return runs.length === 1 && runs[0].length === runs[0].source.byteLength
    ? runs[0].source
    : joined(tensors[0].dtype, runs);
}

/** The bytes of one tensor. */
export function tensorSource(tensor: TensorInfo): WeightSource {
  const { source, offset, dtype, byteLength } = tensor;
  const readSync = source.readSync?.bind(source);
  return {
    dtype,
    byteLength,
    read: (at, length) => source.read(offset + at, length),
    ...(readSync ? { readSync: (at: number, into: Uint8Array) => readSync(offset + at, into) } : {}),
  };
}

/** Bytes of a source that follow one another. */
export interface Run {
  readonly source: WeightSource;
  readonly offset: number;
  readonly length: number;
}

function rowRuns(source: WeightSource, { rows }: WeightPlace, rowBytes: number): Run[] {
  if (!rows) return [{ source, offset: 0, length: source.byteLength }];
  return Array.from({ length: rows.count }, (_, i) => ({
    source,
    offset: (rows.offset + i * rows.stride) * rowBytes,
    length: rows.length * rowBytes,
  }));
}

/** Runs one after another. */
export function joined(dtype: DType, runs: readonly Run[]): WeightSource {
  /** The parts of the runs that make up a range, in order. */
  function* parts(offset: number, length: number): Generator<{ run: Run; from: number; length: number }> {
    let start = 0;
    for (const run of runs) {
      const [from, to] = [Math.max(offset, start), Math.min(offset + length, start + run.length)];
      if (from < to) yield { run, from: run.offset + from - start, length: to - from };
      start += run.length;
    }
  }
  const readSync = (at: number, into: Uint8Array): void => {
    let done = 0;
    for (const { run, from, length } of parts(at, into.length)) {
      run.source.readSync?.(from, into.subarray(done, done + length));
      done += length;
    }
  };
  return {
    dtype,
    byteLength: runs.reduce((sum, run) => sum + run.length, 0),
    async read(offset, length) {
      const wanted = [...parts(offset, length)];
      if (wanted.length === 1) return await wanted[0].run.source.read(wanted[0].from, length);
      const bytes = new Uint8Array(length);
      let done = 0;
      for (const part of wanted) {
        bytes.set(await part.run.source.read(part.from, part.length), done);
        done += part.length;
      }
      return bytes;
    },
    ...(runs.every(({ source }) => source.readSync) ? { readSync } : {}),
  };
}

/** A matrix [in, out] as [out, in]: blocks of its columns are turned in memory as reading comes to them. */
function transposed(tensor: TensorInfo, blockBytes: number): WeightSource {
  const { dtype, shape: [height, width] } = tensor;
  if (isQuantized(dtype)) {
    throw new DTypeError(
      `${tensor.name}: a matrix of ${dtype} cannot be transposed; convert the model again`,
    );
  }
  const source = tensorSource(tensor);
  const size = DTYPES[dtype].blockBytes;
  const blockColumns = Math.min(width, Math.max(1, Math.floor(blockBytes / (height * size))));
  let block: Uint8Array | undefined;
  let firstColumn = 0;

  /** Turns the columns from `first` on. */
  async function load(first: number): Promise<Uint8Array> {
    const columns = Math.min(blockColumns, width - first);
    const out = new Uint8Array(columns * height * size);
    // Whole rows are read many at a time, parts of rows one by one.
    const rowsAtOnce = columns === width ? Math.max(1, Math.floor(READ_BYTES / (width * size))) : 1;
    for (let row = 0; row < height; row += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, height - row);
      const bytes = await source.read((row * width + first) * size, rows * columns * size);
      turn(bytes, out, { rows, columns, at: row, height, size });
    }
    return out;
  }

  return {
    dtype,
    byteLength: source.byteLength,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      const columnBytes = height * size;
      for (let done = 0; done < length;) {
        const at = offset + done;
        const column = Math.floor(at / columnBytes);
        if (!block || column < firstColumn || (column - firstColumn) * columnBytes >= block.length) {
          block = undefined;
          block = await load(column);
          firstColumn = column;
        }
        const from = at - firstColumn * columnBytes;
        const part = block.subarray(from, from + length - done);
        bytes.set(part, done);
        done += part.length;
      }
      return bytes;
    },
  };
}

/** Writes rows of elements of `size` bytes as columns of `out`, from column `at` on. */
function turn(
  bytes: Uint8Array,
  out: Uint8Array,
  { rows, columns, at, height, size }: {
    rows: number;
    columns: number;
    at: number;
    height: number;
    size: number;
  },
): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * size;
      const to = (column * height + at + row) * size;
      for (let byte = 0; byte < size; byte++) out[to + byte] = bytes[from + byte];
    }
  }
}
