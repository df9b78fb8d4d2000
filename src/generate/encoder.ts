/**
 * Runs whole sequences through a model in one step: an encoder's reading, or the hidden states of a decoder.
 *
 * @module
 */
import type { Backend, WeightHandle } from "../backends/backend.ts";
import { InvalidArgumentError, OutOfBoundsError, SequenceLengthExceededError } from "../errors.ts";
import type { Architecture } from "../models/architecture.ts";
import type { DecoderConfig } from "../models/config.ts";
import type { CacheDType } from "../nn/decoder.ts";
import type { CrossCache, CrossPart } from "./cross_cache.ts";
import { EncoderStage } from "./encoder_stage.ts";
import { nextTask } from "../next_task.ts";
import { pagesFor } from "./pages.ts";

/** What an encoder is made of. */
export interface EncoderParts {
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
  /** Element type of keys and values. */
  readonly cacheDType: CacheDType;
  /** Where a decoder will find keys and values. */
  readonly cross?: CrossCache;
}

/** A sequence to read. */
export interface EncoderInput {
  /** Its tokens. */
  readonly ids: readonly number[];
  /** Type of each token, such as 1 in the second of two texts; 0 where they are absent. */
  readonly tokenTypes?: readonly number[];
}

/** Outputs of an encoder Program: a row for each token, or for each sequence. */
export type EncoderOutput = "hidden" | "pooled" | "scores";

/** Fewest rows of a Program. */
const MIN_ROWS = 64;
/** Short sequences share steps of up to this many rows. */
const SHARED_ROWS = 512;
/** Most sequences of a step. */
const MAX_SEQUENCES = 32;
/** Most entries of a step's page table: a longer context allows fewer sequences. */
const MAX_TABLE = 65536;

/** Reads sequences. Programs are compiled when they are first needed. */
export class Encoder {
  readonly #parts: EncoderParts;
  readonly #stages = new Map<number, Promise<EncoderStage>>();
  readonly #compiled: EncoderStage[] = [];
  #closed = false;

  /** Allocates nothing yet. */
  constructor(parts: EncoderParts) {
    this.#parts = parts;
  }

  /** Bytes of temporaries, and of keys and values while a step runs. */
  get arenaBytes(): number {
    return this.#compiled.reduce((sum, stage) => sum + stage.arenaBytes, 0);
  }

  /** Compiles the smallest Program: throws what the backend has to say about it before anything runs. */
  async prepare(): Promise<void> {
    await this.#stage([]);
  }

  /**
   * Reads sequences, several to a step, and gives an output of each: `hidden` has a row for each token, the others
   * have one row.
   *
   * @throws {InvalidArgumentError} where the model has no such output.
   */
  async run(
    inputs: readonly EncoderInput[],
    output: EncoderOutput,
    signal?: AbortSignal,
  ): Promise<Float32Array[]> {
    inputs.forEach((input) => this.#check(input));
    const results: Float32Array[] = [];
    for (const batch of this.#batches(inputs)) {
      if (results.length > 0) await nextTask();
      signal?.throwIfAborted();
      const stage = await this.#stage(batch);
      stage.enqueue(batch);
      results.push(...await stage.read(batch, output));
    }
    return results;
  }

  /** Reads a sequence for the decoder to look at, as soon as there is room for it. */
  async encode(input: EncoderInput, signal?: AbortSignal): Promise<CrossPart> {
    const { cross } = this.#parts;
    if (!cross) throw new InvalidArgumentError("the model has no decoder that looks at an encoder");
    this.#check(input);
    const part = await cross.take(input.ids.length, signal);
    try {
      const stage = await this.#stage([input]);
      stage.enqueue([input], part);
    } catch (error) {
      part[Symbol.dispose]();
      throw error;
    }
    return part;
  }

  /** Frees the Programs; weights and the cross cache stay with their owners. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const stage of this.#compiled) stage[Symbol.dispose]();
    this.#compiled.length = 0;
  }

  #check({ ids, tokenTypes }: EncoderInput): void {
    const { config: { vocabSize, tokenTypes: types = 0 }, contextLength } = this.#parts;
    if (ids.length === 0) throw new InvalidArgumentError("a text is empty; give at least one token");
    if (ids.length > contextLength) {
      throw new SequenceLengthExceededError({ max: contextLength, actual: ids.length });
    }
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new OutOfBoundsError(`token ${wrong} is outside the vocabulary of ${vocabSize}`);
    }
    if (!tokenTypes) return;
    if (tokenTypes.length !== ids.length) {
      throw new InvalidArgumentError(`${tokenTypes.length} token types do not fit ${ids.length} tokens`);
    }
    const alien = tokenTypes.find((type) =>
      !Number.isInteger(type) || type < 0 || type >= Math.max(types, 1)
    );
    if (alien !== undefined) {
      throw new OutOfBoundsError(`token type ${alien} is not one of the model's ${types}`);
    }
  }

  /** Pages of the longest sequence. */
  get #maxPages(): number {
    return pagesFor(this.#parts.contextLength);
  }

  get #maxSequences(): number {
    return Math.max(1, Math.min(MAX_SEQUENCES, Math.floor(MAX_TABLE / this.#maxPages)));
  }

  /** Sequences in order, as many at once as fit a step. */
  #batches(inputs: readonly EncoderInput[]): EncoderInput[][] {
    const batches: EncoderInput[][] = [];
    let rows = 0;
    for (const input of inputs) {
      const last = batches.at(-1);
      const fits = last && last.length < this.#maxSequences && rows + input.ids.length <= SHARED_ROWS;
      if (fits) last.push(input);
      else batches.push([input]);
      rows = (fits ? rows : 0) + input.ids.length;
    }
    return batches;
  }

  /** The Program whose capacity is the next power of two. */
  async #stage(batch: readonly EncoderInput[]): Promise<EncoderStage> {
    if (this.#closed) throw new InvalidArgumentError("the model is closed; load it again");
    const needed = batch.reduce((sum, { ids }) => sum + ids.length, 0);
    const rows = 2 ** Math.ceil(Math.log2(Math.max(needed, MIN_ROWS)));
    let stage = this.#stages.get(rows);
    if (!stage) {
      stage = this.#compile(rows);
      this.#stages.set(rows, stage);
      stage.catch(() => this.#stages.delete(rows));
    }
    return await stage;
  }

  async #compile(rows: number): Promise<EncoderStage> {
    const sequences = Math.min(this.#maxSequences, rows);
    const stage = await EncoderStage.create(this.#parts, { rows, sequences, maxPages: this.#maxPages });
    this.#compiled.push(stage);
    return stage;
  }
}
