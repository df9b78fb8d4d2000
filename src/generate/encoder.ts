/**
 * Runs whole sequences through a model in one step: an encoder's reading, or the hidden states of a decoder.
 *
 * @module
 */
import type { Backend, Buffer, Executable, WeightHandle } from "../backends/backend.ts";
import { InvalidArgumentError, OutOfBoundsError, SequenceLengthExceededError } from "../errors.ts";
import type { Architecture, WeightTypes } from "../models/architecture.ts";
import type { DecoderConfig } from "../models/config.ts";
import { encoderProgram, type EncoderShape } from "../models/encoder_program.ts";
import { PAGE_SIZE, sharedCacheName } from "../nn/decoder.ts";
import { type Program, stepShape } from "../program/program.ts";
import { StepRecord } from "../program/step.ts";
import { valueBytes } from "../program/plan.ts";
import type { CrossCache, CrossPart } from "./cross_cache.ts";
import { nextTask } from "./next_task.ts";

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
  readonly cacheDType: "f32" | "f16";
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

interface Stage {
  readonly program: Program;
  readonly executable: Executable;
  readonly step: StepRecord;
  readonly outputs: ReadonlyMap<string, Buffer>;
  readonly scratch: readonly Buffer[];
}

/** Reads sequences. Programs are compiled when they are first needed. */
export class Encoder {
  readonly #parts: EncoderParts;
  readonly #stages = new Map<number, Promise<Stage>>();
  readonly #compiled: Stage[] = [];
  #closed = false;

  /** Allocates nothing yet. */
  constructor(parts: EncoderParts) {
    this.#parts = parts;
  }

  /** Bytes of temporaries, and of keys and values while a step runs. */
  get arenaBytes(): number {
    return this.#compiled.reduce(
      (sum, { executable, scratch }) =>
        sum + executable.arenaBytes + scratch.reduce((bytes, buffer) => bytes + buffer.bytes, 0),
      0,
    );
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
      this.#enqueue(stage, batch);
      results.push(...await this.#read(stage, batch, output));
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
      this.#enqueue(stage, [input], part);
    } catch (error) {
      part[Symbol.dispose]();
      throw error;
    }
    return part;
  }

  /** Frees the Programs; weights and the cross cache stay with their owners. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { executable, outputs, scratch } of this.#compiled) {
      executable[Symbol.dispose]();
      for (const buffer of [...outputs.values(), ...scratch]) this.#parts.backend.free(buffer);
    }
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
    return Math.ceil(this.#parts.contextLength / PAGE_SIZE);
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
  async #stage(batch: readonly EncoderInput[]): Promise<Stage> {
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

  async #compile(rows: number): Promise<Stage> {
    const { backend, architecture, config, weights, cacheDType, cross } = this.#parts;
    const sequences = Math.min(this.#maxSequences, rows);
    const shape: EncoderShape = {
      rows,
      sequences,
      // Each sequence may leave a part of its last page empty.
      pages: Math.ceil(rows / PAGE_SIZE) + sequences,
      maxPages: this.#maxPages,
      dtype: cacheDType,
      ...(cross ? { cross: cross.shape } : {}),
    };
    const types: WeightTypes = new Map([...weights].map(([name, handle]) => [name, handle.spec]));
    const program = encoderProgram(architecture, config, types, shape);
    const held = new Map<string, Buffer>();
    try {
      for (const value of program.values) {
        const scratch = value.name === sharedCacheName("keys") || value.name === sharedCacheName("values");
        if (value.kind !== "output" && !scratch) continue;
        held.set(value.name, backend.alloc(valueBytes(value, program)));
      }
      const bindings = new Map([...weights, ...(cross?.bindings ?? []), ...held]);
      const executable = await backend.compile(program, bindings);
      const isScratch = ([name]: readonly [string, Buffer]): boolean => name.startsWith("cache.");
      const stage = {
        program,
        executable,
        step: new StepRecord(program),
        outputs: new Map([...held].filter((entry) => !isScratch(entry))),
        scratch: [...held].filter(isScratch).map(([, buffer]) => buffer),
      };
      this.#compiled.push(stage);
      return stage;
    } catch (error) {
      for (const buffer of held.values()) backend.free(buffer);
      throw error;
    }
  }

  /** Fills the step record and submits; every sequence has a line of the page table and pages of its own. */
  #enqueue({ step, executable }: Stage, batch: readonly EncoderInput[], cross?: CrossPart): void {
    const { config } = this.#parts;
    const field = (name: string): Int32Array => step.ints(name);
    const [tokens, positions, slots, lengths, sequences, pageTable, outputRows] = [
      "tokens",
      "positions",
      "slots",
      "lengths",
      "sequences",
      "pageTable",
      "outputRows",
    ].map(field);
    const tokenTypes = config.tokenTypes ? field("tokenTypes") : undefined;
    const crossSlots = this.#parts.cross ? field("crossSlots") : undefined;
    let [row, page] = [0, 0];
    batch.forEach(({ ids, tokenTypes: types }, line) => {
      const firstPage = page;
      outputRows[line] = row;
      for (; (page - firstPage) * PAGE_SIZE < ids.length; page++) {
        pageTable[line * this.#maxPages + page - firstPage] = page;
      }
      ids.forEach((id, position) => {
        tokens[row] = id;
        positions[row] = position;
        slots[row] = firstPage * PAGE_SIZE + position;
        lengths[row] = config.kind === "decoder" ? position + 1 : ids.length;
        sequences[row] = line;
        if (tokenTypes) tokenTypes[row] = types?.[position] ?? 0;
        if (crossSlots) crossSlots[row] = cross ? cross.slot(position) : -1;
        row++;
      });
    });
    step.setCounts(row, batch.length);
    executable.run(step);
  }

  /** Reads an output; must be begun right after the step was enqueued. */
  async #read(
    { program, outputs }: Stage,
    batch: readonly EncoderInput[],
    output: EncoderOutput,
  ): Promise<Float32Array[]> {
    const buffer = outputs.get(output);
    const value = program.values.find(({ kind, name }) => kind === "output" && name === output);
    if (!buffer || !value) {
      const head = output === "scores" ? "classification head" : "pooler";
      throw new InvalidArgumentError(`the model has no ${head}; load one that was trained for it`);
    }
    const lengths = batch.map(({ ids }) => (value.shape[0] === "rows" ? ids.length : 1));
    const rows = lengths.reduce((sum, length) => sum + length, 0);
    const [, width] = stepShape(value.shape, { rows, outputs: rows });
    const all = new Float32Array(rows * width);
    await this.#parts.backend.read(buffer, 0, new Uint8Array(all.buffer));
    let start = 0;
    return lengths.map((length) => all.subarray(start * width, (start += length) * width));
  }
}
