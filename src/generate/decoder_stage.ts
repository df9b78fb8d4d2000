/**
 * A decoder Program compiled for so many sequences, with its step record and the buffers of its outputs.
 *
 * @module
 */
import type { Buffer, Executable, WeightHandle } from "../backends/backend.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { WeightTypes } from "../models/architecture.ts";
import { decoderProgram } from "../models/decoder_program.ts";
import type { CacheConfig } from "../nn/decoder.ts";
import { StepRecord } from "../program/step.ts";
import type { DecoderParts } from "./decoder.ts";
import type { RowOutput, StepEntry } from "./task.ts";

/** Bounds of a stage. */
export interface StageShape {
  /** Rows of a step. */
  readonly rows: number;
  /** Rows with an output. */
  readonly outputs: number;
  /** The KV cache, and the sequences of a step. */
  readonly cache: CacheConfig;
}

/** Fields of the step record. */
const FIELDS = ["tokens", "positions", "lengths", "slots", "sequences", "pageTable", "outputRows"] as const;

type Fields = Readonly<Record<typeof FIELDS[number], Int32Array>>;

/** Runs steps of one shape. */
export class DecoderStage {
  /** Bounds of a step. */
  readonly shape: StageShape;
  readonly #parts: DecoderParts;
  readonly #executable: Executable;
  readonly #step: StepRecord;
  readonly #fields: Fields;
  readonly #logits: Buffer;
  readonly #argmax: Buffer;
  /** What was read back: used again for each step. */
  #host = new Float32Array();

  private constructor(
    parts: DecoderParts,
    shape: StageShape,
    executable: Executable,
    step: StepRecord,
    outputs: { logits: Buffer; argmax: Buffer },
  ) {
    this.#parts = parts;
    this.shape = shape;
    this.#executable = executable;
    this.#step = step;
    this.#fields = Object.fromEntries(FIELDS.map((name) => [name, step.ints(name)])) as unknown as Fields;
    this.#logits = outputs.logits;
    this.#argmax = outputs.argmax;
  }

  /** Compiles the Program over caches that are there. */
  static async create(
    parts: DecoderParts,
    shape: StageShape,
    states: ReadonlyMap<string, Buffer>,
  ): Promise<DecoderStage> {
    const { backend, architecture, config, weights } = parts;
    const types: WeightTypes = new Map([...weights].map(([name, handle]) => [name, handle.spec]));
    const program = decoderProgram(architecture, config, types, shape);
    const argmax = backend.alloc(shape.outputs * 4);
    let logits: Buffer | undefined;
    try {
      logits = backend.alloc(shape.outputs * config.vocabSize * 4);
      const bindings = new Map<string, Buffer | WeightHandle>([
        ...weights,
        ...states,
        ...(parts.cross?.bindings ?? []),
        ["logits", logits],
        ["argmax", argmax],
      ]);
      const executable = await backend.compile(program, bindings);
      return new DecoderStage(parts, shape, executable, new StepRecord(program), { logits, argmax });
    } catch (error) {
      backend.free(argmax);
      if (logits) backend.free(logits);
      throw error;
    }
  }

  /** Bytes of temporaries. */
  get arenaBytes(): number {
    return this.#executable.arenaBytes;
  }

  /** How many steps it may pay to begin before the last one was read. */
  get mostAhead(): number {
    const { runFed, fedSteps = 1 } = this.#executable;
    return runFed && !this.#parts.profile ? fedSteps : 0;
  }

  /** Enqueues a step whose pages are reserved, and reads its outputs, in order of the entries. */
  async run(entries: readonly StepEntry[]): Promise<readonly RowOutput[]> {
    const places = outputPlaces(entries);
    this.#enqueue(this.#fill(entries, places));
    return await this.#read(entries, places);
  }

  /** As `run`, of a step whose rows have as tokens what the step before gives, row by row. */
  async runAhead(entries: readonly StepEntry[]): Promise<readonly RowOutput[]> {
    const places = outputPlaces(entries);
    this.#fill(entries, places);
    this.#executable.runFed?.(this.#step, { from: this.#argmax, field: "tokens", words: entries.length });
    return await this.#read(entries, places);
  }

  /** Frees what it holds. */
  [Symbol.dispose](): void {
    const { backend } = this.#parts;
    this.#executable[Symbol.dispose]();
    backend.free(this.#logits);
    backend.free(this.#argmax);
  }

  /** Fills the step record; gives the sum of the keys that each row sees. */
  #fill(entries: readonly StepEntry[], places: readonly number[]): number {
    const { maxPages, cross } = this.shape.cache;
    const rows = entries.reduce((sum, { tokens }) => sum + tokens.length, 0);
    this.#step.setCounts(rows, count(entries));
    if (cross) fillCross(this.#step, entries, cross.maxPages);
    return fill(this.#fields, entries, places, maxPages);
  }

  #enqueue(keys: number): void {
    const { profile } = this.#parts;
    const [executable, step] = [this.#executable, this.#step];
    if (!profile) return executable.run(step);
    if (!executable.profile) {
      throw new InvalidArgumentError("this backend cannot take the time of an op; profile on wasm or native");
    }
    profile.add(executable.profile(step), { rows: step.rows, outputs: step.outputs }, keys);
  }

  async #read(entries: readonly StepEntry[], places: readonly number[]): Promise<readonly RowOutput[]> {
    const { backend, config: { vocabSize } } = this.#parts;
    const withLogits = count(entries.filter(({ logits }) => logits));
    const words = withLogits * vocabSize;
    const reads: Promise<void>[] = [];
    if (words > 0) {
      if (this.#host.length < words) this.#host = new Float32Array(words);
      reads.push(backend.read(this.#logits, 0, new Uint8Array(this.#host.buffer, 0, 4 * words)));
    }
    // Without outputs too: that is how to wait for a step.
    const ids = new Int32Array(Math.max(this.#step.outputs, 1));
    if (withLogits < ids.length) reads.push(backend.read(this.#argmax, 0, new Uint8Array(ids.buffer)));
    const host = this.#host;
    await Promise.all(reads);
    return entries.flatMap(({ outputs, logits }, i) =>
      Array.from({ length: outputs }, (_, j) => {
        const place = places[i] + j;
        return logits ? host.subarray(place * vocabSize, (place + 1) * vocabSize) : ids[place];
      })
    );
  }
}

function count(entries: readonly StepEntry[]): number {
  return entries.reduce((sum, { outputs }) => sum + outputs, 0);
}

/** Where the outputs of each entry begin: those whose logits are read come first, so that one read has them all. */
function outputPlaces(entries: readonly StepEntry[]): number[] {
  let [withLogits, others] = [0, count(entries.filter(({ logits }) => logits))];
  return entries.map(({ outputs, logits }) => {
    const place = logits ? withLogits : others;
    if (logits) withLogits += outputs;
    else others += outputs;
    return place;
  });
}

/** Fills the fields; gives the sum of the keys that each row sees. */
function fill(
  { tokens, positions, lengths, slots, sequences, pageTable, outputRows }: Fields,
  entries: readonly StepEntry[],
  places: readonly number[],
  maxPages: number,
): number {
  let [row, keys] = [0, 0];
  for (const [line, entry] of entries.entries()) {
    const { sequence } = entry;
    pageTable.set(sequence.pages, line * maxPages);
    for (let i = 0; i < entry.tokens.length; i++, row++) {
      const position = sequence.length + (entry.behind ?? 0) + i;
      tokens[row] = entry.tokens[i];
      positions[row] = position;
      lengths[row] = position + 1;
      slots[row] = sequence.slot(position);
      sequences[row] = line;
      keys += position + 1;
    }
    for (let i = 0; i < entry.outputs; i++) outputRows[places[line] + i] = row - entry.outputs + i;
  }
  return keys;
}

/** Fills what the rows see of what the encoder has read. */
function fillCross(step: StepRecord, entries: readonly StepEntry[], maxPages: number): void {
  const [lengths, pageTable] = ["crossLengths", "crossPageTable"].map((name) => step.ints(name));
  let row = 0;
  for (const [line, { sequence: { cross }, tokens }] of entries.entries()) {
    if (!cross) {
      throw new InvalidArgumentError("an encoder–decoder writes about a text; give the encoder one to read");
    }
    pageTable.set(cross.pages, line * maxPages);
    lengths.fill(cross.length, row, row += tokens.length);
  }
}
