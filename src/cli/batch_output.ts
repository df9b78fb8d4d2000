/**
 * The results of a batch job: written in order, a whole line at a time, so that a job can go on after it was killed.
 *
 * @module
 */
import { InvalidFileError, PermissionError } from "../errors.ts";
import { openPath } from "../formats/source_file.ts";
import { isWhole, readLines } from "./lines.ts";

/** Appends results to a file in order of their lines. */
export class BatchOutput implements Disposable {
  /** Ids of the results that were there, in order; nothing where a result has none. */
  readonly ids: readonly unknown[];
  readonly #file: Deno.FsFile;
  /** Results that wait for an earlier one. */
  readonly #early = new Map<number, string>();
  #waiting: { readonly index: number; readonly go: () => void }[] = [];
  #lines: number;
  #failed: number;

  private constructor(file: Deno.FsFile, { ids, failed }: Earlier) {
    this.#file = file;
    this.ids = ids;
    this.#lines = ids.length;
    this.#failed = failed;
  }

  /**
   * Opens a file to go on with it; a last line that was cut short is dropped.
   *
   * @throws {InvalidFileError} where the file has something else in it.
   */
  static async open(path: string): Promise<BatchOutput> {
    const file = await openFile(path);
    try {
      const earlier = await readEarlier(path);
      await file.truncate(earlier.bytes);
      await file.seek(earlier.bytes, Deno.SeekMode.Start);
      return new BatchOutput(file, earlier);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Results in the file. */
  get lines(): number {
    return this.#lines;
  }
  /** Those of them that are errors. */
  get failed(): number {
    return this.#failed;
  }

  /** Waits until a line is less than `distance` behind the last one that was written. */
  async room(index: number, distance: number): Promise<void> {
    if (index < this.#lines + distance) return;
    await new Promise<void>((resolve) => this.#waiting.push({ index: index - distance, go: resolve }));
  }

  /** Writes a result, as soon as all before it are written. */
  add(index: number, result: Record<string, unknown>): void {
    this.#early.set(index, `${JSON.stringify(result)}\n`);
    if (result.error !== undefined) this.#failed++;
    for (let line; (line = this.#early.get(this.#lines)) !== undefined; this.#lines++) {
      this.#early.delete(this.#lines);
      writeAll(this.#file, new TextEncoder().encode(line));
    }
    this.#release(this.#lines);
  }

  /** Lets all go that wait for room, because nothing more will be written. */
  stop(): void {
    this.#release(Infinity);
  }

  #release(lines: number): void {
    const free = this.#waiting.filter(({ index }) => index < lines);
    this.#waiting = this.#waiting.filter(({ index }) => index >= lines);
    for (const { go } of free) go();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** What is kept of the results of an earlier run. */
interface Earlier {
  /** Their ids, in order. */
  readonly ids: readonly unknown[];
  /** Those of them that are errors. */
  readonly failed: number;
  /** Bytes of them all. */
  readonly bytes: number;
}

interface Result {
  readonly index: number;
  readonly id?: unknown;
  readonly error?: unknown;
}

async function openFile(path: string): Promise<Deno.FsFile> {
  for (const name of ["read", "write"] as const) {
    // Asked first, so that the runtime does not ask the user.
    const { state } = await Deno.permissions.query({ name, path });
    if (state !== "granted") throw new PermissionError(`writing ${path}`, "-R -W");
  }
  try {
    return await Deno.open(path, { read: true, write: true, create: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidFileError(`it cannot be written, ${reason}`, { file: path }, { cause });
  }
}

/** Looks through the results of an earlier run, one at a time: a job of millions has more than the memory holds. */
async function readEarlier(path: string): Promise<Earlier> {
  const source = await openPath(path);
  try {
    const ids: unknown[] = [];
    let [failed, bytes] = [0, 0];
    for await (const line of readLines(source)) {
      if (!isWhole(line)) break;
      const { id, error } = parse(path, line, ids.length);
      ids.push(id);
      if (error !== undefined) failed++;
      bytes += line.length;
    }
    return { ids, failed, bytes };
  } finally {
    source.close();
  }
}

/** The result that is in the line of this number, from 0. */
function parse(path: string, line: Uint8Array, index: number): Result {
  try {
    const result: Result = JSON.parse(new TextDecoder().decode(line));
    if (result.index === index) return result;
  } catch {
    // No JSON: as any other line that this command has not written.
  }
  throw new InvalidFileError(`line ${index + 1} is no result of a batch, name another file`, { file: path });
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
