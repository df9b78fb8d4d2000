/**
 * The lines of a batch job's input, read as they are needed.
 *
 * @module
 */
import { InvalidFileError } from "../errors.ts";
import { openSource } from "../formats/source.ts";
import type { ByteSource } from "../formats/byte_source.ts";
import { idOf } from "./batch_request.ts";
import { readLines } from "./lines.ts";
import { UsageError } from "./usage_error.ts";

/** A line that is not blank. */
export interface BatchLine {
  /** Its number among those, from 0. */
  readonly index: number;
  /** What stands in it. */
  readonly text: string;
}

/** Reads lines one after the other, whoever asks. */
export class BatchInput implements Disposable {
  readonly #path: string;
  readonly #source: ByteSource;
  readonly #lines: AsyncGenerator<string>;
  #index = 0;
  #consumed = 0;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(path: string, source: ByteSource) {
    this.#path = path;
    this.#source = source;
    this.#lines = this.#read();
  }

  /** Opens a file. */
  static async open(path: string): Promise<BatchInput> {
    return new BatchInput(path, await openSource(path));
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#source.size;
  }
  /** Bytes of the lines that were given out. */
  get consumed(): number {
    return this.#consumed;
  }

  /** The next line; nothing at the end. */
  next(): Promise<BatchLine | undefined> {
    const line = this.#turn.then(() => this.#next());
    this.#turn = line.catch(() => undefined);
    return line;
  }

  /**
   * Passes over lines whose results are there, given by their ids.
   *
   * @throws {UsageError} where the results are of other lines.
   */
  async skip(ids: readonly unknown[], output: string): Promise<void> {
    for (const id of ids) {
      const line = await this.next();
      if (line === undefined || idOf(line.text) !== id) {
        throw new UsageError(`${output} has results of another input than ${this.#path}, name another file`);
      }
    }
  }

  async #next(): Promise<BatchLine | undefined> {
    for (;;) {
      const { done, value } = await this.#lines.next();
      if (done) return undefined;
      if (value.trim() !== "") return { index: this.#index++, text: value };
    }
  }

  async *#read(): AsyncGenerator<string> {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const decode = (bytes: Uint8Array): string => {
      this.#consumed += bytes.length;
      try {
        return decoder.decode(bytes);
      } catch (cause) {
        throw new InvalidFileError("a line is not UTF-8, convert the file first", { file: this.#path }, {
          cause,
        });
      }
    };
    for await (const line of readLines(this.#source)) yield decode(line);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#source.close();
  }
}
