/**
 * The results of a batch job: written in order, a whole line at a time, so that a job can go on after it was killed.
 *
 * @module
 */
import { InvalidFileError, PermissionError } from "../errors.ts";

const LINE_FEED = 10;

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

  private constructor(file: Deno.FsFile, results: readonly Result[]) {
    this.#file = file;
    this.ids = results.map(({ id }) => id);
    this.#lines = results.length;
    this.#failed = results.filter(({ error }) => error !== undefined).length;
  }

  /**
   * Opens a file to go on with it; a last line that was cut short is dropped.
   *
   * @throws {InvalidFileError} where the file has something else in it.
   */
  static async open(path: string): Promise<BatchOutput> {
    const file = await openFile(path);
    try {
      const bytes = new Uint8Array((await file.stat()).size);
      for (let at = 0; at < bytes.length;) at += await file.read(bytes.subarray(at)) ?? bytes.length;
      const whole = bytes.subarray(0, bytes.lastIndexOf(LINE_FEED) + 1);
      const results = parse(path, whole);
      await file.truncate(whole.length);
      await file.seek(whole.length, Deno.SeekMode.Start);
      return new BatchOutput(file, results);
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

/** The results of an earlier run, numbered from 0. */
function parse(path: string, bytes: Uint8Array): Result[] {
  const lines = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
  return lines.map((line, i) => {
    try {
      const result: Result = JSON.parse(line);
      if (result.index === i) return result;
    } catch {
      // No JSON: as any other line that this command has not written.
    }
    throw new InvalidFileError(`line ${i + 1} is no result of a batch, name another file`, { file: path });
  });
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
