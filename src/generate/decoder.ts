/**
 * Runs a decoder Program over sequences: fills the step record, submits, reads logits back.
 *
 * @module
 */
import type { Backend, Buffer, Executable, WeightHandle } from "../backends/backend.ts";
import type { Architecture, WeightTypes } from "../models/architecture.ts";
import type { DecoderConfig } from "../models/config.ts";
import { decoderProgram } from "../models/decoder_program.ts";
import { type CacheConfig, cacheName, PAGE_SIZE } from "../nn/decoder.ts";
import { StepRecord } from "../program/step.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { InvalidArgumentError, OutOfBoundsError } from "../errors.ts";
import type { Profile } from "../trace/profile.ts";
import { PagePool, Sequence } from "./pages.ts";

/** What a decoder is made of. */
export interface DecoderParts {
  /** Where it runs. */
  readonly backend: Backend;
  /** Architecture of the model. */
  readonly architecture: Architecture;
  /** Its configuration. */
  readonly config: DecoderConfig;
  /** Uploaded weights by their names in the Program. */
  readonly weights: ReadonlyMap<string, WeightHandle>;
  /** Longest sequence, in tokens. */
  readonly contextLength: number;
  /** Element type of the KV cache. */
  readonly cacheDType: "f32" | "f16";
  /** Where the times of every op go; steps are then run op by op, on the calling thread. */
  readonly profile?: Profile;
}

/** Rows of a prefill step: long prompts are cut into chunks of this many tokens. Each takes 23 KB in SmolLM2-135M. */
export const PREFILL_ROWS = 128;
/** Rows and outputs of a step that computes logits for every row. */
const SCORING_ROWS = 64;

interface Stage {
  readonly executable: Executable;
  readonly step: StepRecord;
  readonly logits: Buffer;
  readonly argmax: Buffer;
  readonly rows: number;
}

/** Bytes of the KV cache for a context of this many tokens. */
export function cacheBytes(config: DecoderConfig, contextLength: number, dtype: "f32" | "f16"): number {
  const pages = Math.ceil(contextLength / PAGE_SIZE);
  return 2 * config.layers * pages * PAGE_SIZE * config.kvHeads * config.headDim * DTYPES[dtype].blockBytes;
}

/** A model on a backend, ready to run. */
export class Decoder {
  readonly #parts: DecoderParts;
  readonly #cache: CacheConfig;
  readonly #states = new Map<string, Buffer>();
  #decode?: Stage;
  #score?: Stage;
  readonly #pool: PagePool;

  private constructor(parts: DecoderParts) {
    this.#parts = parts;
    const maxPages = Math.ceil(parts.contextLength / PAGE_SIZE);
    this.#cache = { pages: maxPages, maxPages, sequences: 1, dtype: parts.cacheDType };
    this.#pool = new PagePool(this.#cache.pages);
  }

  /** Allocates the cache and compiles the decode Program. */
  static async create(parts: DecoderParts): Promise<Decoder> {
    const decoder = new Decoder(parts);
    const { backend, config, contextLength, cacheDType } = parts;
    const bytes = cacheBytes(config, contextLength, cacheDType) / (2 * config.layers);
    try {
      for (let layer = 0; layer < config.layers; layer++) {
        for (const part of ["keys", "values"] as const) {
          decoder.#states.set(cacheName(layer, part), backend.alloc(bytes));
        }
      }
      decoder.#decode = await decoder.#compile(PREFILL_ROWS, 1);
    } catch (error) {
      decoder[Symbol.dispose]();
      throw error;
    }
    return decoder;
  }

  /** Longest sequence, in tokens. */
  get contextLength(): number {
    return this.#parts.contextLength;
  }
  /** Bytes of the KV cache. */
  get cacheBytes(): number {
    return [...this.#states.values()].reduce((sum, buffer) => sum + buffer.bytes, 0);
  }
  /** Bytes of temporaries. */
  get arenaBytes(): number {
    return this.#stages().reduce((sum, stage) => sum + stage.executable.arenaBytes, 0);
  }

  /** A new, empty sequence. Dispose of it to free its pages. */
  sequence(): Sequence {
    return new Sequence(this.#pool, this.#parts.contextLength);
  }

  /**
   * Appends at most `PREFILL_ROWS` tokens to a sequence and gives a way to read the last one's logits. The step is
   * enqueued when this returns; a read must be begun before anything else is awaited, or a step of another sequence
   * may have taken its place.
   */
  step(sequence: Sequence, tokens: readonly number[]): StepResult {
    const stage = this.#decode;
    if (!stage) throw new InvalidArgumentError("the model is closed; load it again");
    this.#enqueue(stage, sequence, tokens, [tokens.length - 1]);
    return new StepResult(this.#parts.backend, stage.logits, stage.argmax, this.#parts.config.vocabSize);
  }

  /** Appends tokens and gives the logits of each: an async iterator of rows in order. Rows are valid until the next. */
  async *score(sequence: Sequence, tokens: readonly number[]): AsyncGenerator<Float32Array> {
    const { backend, config } = this.#parts;
    const stage = this.#score ??= await this.#compile(SCORING_ROWS, SCORING_ROWS);
    const logits = new Float32Array(SCORING_ROWS * config.vocabSize);
    for (let start = 0; start < tokens.length; start += SCORING_ROWS) {
      const chunk = tokens.slice(start, start + SCORING_ROWS);
      this.#enqueue(stage, sequence, chunk, [...chunk.keys()]);
      const rows = logits.subarray(0, chunk.length * config.vocabSize);
      await backend.read(stage.logits, 0, new Uint8Array(rows.buffer, 0, rows.byteLength));
      for (let i = 0; i < chunk.length; i++) {
        yield rows.subarray(i * config.vocabSize, (i + 1) * config.vocabSize);
      }
    }
  }

  /** Frees the cache and the Programs; weights stay with their owner. */
  [Symbol.dispose](): void {
    const { backend } = this.#parts;
    for (const stage of this.#stages()) {
      stage.executable[Symbol.dispose]();
      backend.free(stage.logits);
      backend.free(stage.argmax);
    }
    for (const buffer of this.#states.values()) backend.free(buffer);
    this.#states.clear();
    this.#decode = this.#score = undefined;
  }

  #stages(): Stage[] {
    return [this.#decode, this.#score].filter((stage) => stage !== undefined);
  }

  #enqueue(stage: Stage, sequence: Sequence, tokens: readonly number[], outputs: readonly number[]): void {
    const { vocabSize } = this.#parts.config;
    const wrong = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new OutOfBoundsError(`token ${wrong} is outside the vocabulary of ${vocabSize}`);
    }
    sequence.reserve(tokens.length);
    const { step } = stage;
    step.setCounts(tokens.length, outputs.length);
    step.ints("tokens").set(tokens);
    step.ints("sequences").fill(0);
    step.ints("pageTable").set(sequence.pages);
    step.ints("outputRows").set(outputs);
    const [positions, lengths, slots] = ["positions", "lengths", "slots"].map((name) => step.ints(name));
    for (let i = 0; i < tokens.length; i++) {
      const position = sequence.length + i;
      positions[i] = position;
      lengths[i] = position + 1;
      slots[i] = sequence.slot(position);
    }
    this.#run(stage, sequence.length, tokens.length);
    sequence.advance(tokens.length);
  }

  #run({ executable, step }: Stage, before: number, count: number): void {
    const { profile } = this.#parts;
    if (!profile) return executable.run(step);
    if (!executable.profile) {
      throw new InvalidArgumentError("this backend cannot take the time of an op; profile on wasm or native");
    }
    const keys = count * before + count * (count + 1) / 2;
    profile.add(executable.profile(step), { rows: step.rows, outputs: step.outputs }, keys);
  }

  async #compile(rows: number, outputs: number): Promise<Stage> {
    const { backend, architecture, config, weights } = this.#parts;
    const types: WeightTypes = new Map([...weights].map(([name, handle]) => [name, handle.spec]));
    const program = decoderProgram(architecture, config, types, { rows, outputs, cache: this.#cache });
    const logits = backend.alloc(outputs * config.vocabSize * 4);
    const argmax = backend.alloc(outputs * 4);
    try {
      const bindings = new Map<string, Buffer | WeightHandle>([
        ...weights,
        ...this.#states,
        ["logits", logits],
        ["argmax", argmax],
      ]);
      const executable = await backend.compile(program, bindings);
      return { executable, step: new StepRecord(program), logits, argmax, rows };
    } catch (error) {
      backend.free(logits);
      backend.free(argmax);
      throw error;
    }
  }
}

/** What a step left behind: valid until the next step of the same decoder is enqueued. */
export class StepResult {
  readonly #backend: Backend;
  readonly #logits: Buffer;
  readonly #argmax: Buffer;
  readonly #vocabSize: number;

  /** Wraps the output buffers of a step. */
  constructor(backend: Backend, logits: Buffer, argmax: Buffer, vocabSize: number) {
    this.#backend = backend;
    this.#logits = logits;
    this.#argmax = argmax;
    this.#vocabSize = vocabSize;
  }

  /** Logits of the last token, [vocabulary]. */
  async logits(): Promise<Float32Array> {
    const row = new Float32Array(this.#vocabSize);
    await this.#backend.read(this.#logits, 0, new Uint8Array(row.buffer));
    return row;
  }

  /** The likeliest next token. */
  async argmax(): Promise<number> {
    const id = new Int32Array(1);
    await this.#backend.read(this.#argmax, 0, new Uint8Array(id.buffer));
    return id[0];
  }
}
