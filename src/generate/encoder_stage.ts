/**
 * An encoder Program compiled for so many rows, with its step record and its buffers.
 *
 * @module
 */
import type { Buffer, Executable } from "../backends/backend.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { WeightTypes } from "../models/architecture.ts";
import { encoderProgram, type EncoderShape } from "../models/encoder_program.ts";
import { PAGE_SIZE, sharedCacheName } from "../nn/decoder.ts";
import { valueBytes } from "../program/plan.ts";
import { type Program, stepShape } from "../program/program.ts";
import { StepRecord } from "../program/step.ts";
import type { CrossPart } from "./cross_cache.ts";
import type { EncoderInput, EncoderOutput, EncoderParts } from "./encoder.ts";

/** Fields of the step record that every encoder has. */
const FIELDS = ["tokens", "positions", "slots", "lengths", "sequences", "pageTable", "outputRows"] as const;

/** Where the keys and values of the layer at work are. */
const SCRATCH: readonly string[] = [sharedCacheName("keys"), sharedCacheName("values")];

/** Runs steps of at most so many rows. */
export class EncoderStage {
  readonly #parts: EncoderParts;
  readonly #maxPages: number;
  readonly #program: Program;
  readonly #executable: Executable;
  readonly #step: StepRecord;
  /** Outputs, and keys and values of the layer at work, by name. */
  readonly #buffers: ReadonlyMap<string, Buffer>;

  private constructor(
    parts: EncoderParts,
    maxPages: number,
    program: Program,
    executable: Executable,
    buffers: ReadonlyMap<string, Buffer>,
  ) {
    this.#parts = parts;
    this.#maxPages = maxPages;
    this.#program = program;
    this.#executable = executable;
    this.#step = new StepRecord(program);
    this.#buffers = buffers;
  }

  /** Compiles the Program. */
  static async create(
    parts: EncoderParts,
    { rows, sequences, maxPages }: Pick<EncoderShape, "rows" | "sequences" | "maxPages">,
  ): Promise<EncoderStage> {
    const { backend, architecture, config, weights, cacheDType, cross } = parts;
    const shape: EncoderShape = {
      rows,
      sequences,
      maxPages,
      // Each sequence may leave a part of its last page empty.
      pages: Math.ceil(rows / PAGE_SIZE) + sequences,
      dtype: cacheDType,
      ...(cross ? { cross: cross.shape } : {}),
    };
    const types: WeightTypes = new Map([...weights].map(([name, handle]) => [name, handle.spec]));
    const program = encoderProgram(architecture, config, types, shape);
    const buffers = new Map<string, Buffer>();
    try {
      for (const value of program.values) {
        if (value.kind !== "output" && !SCRATCH.includes(value.name)) continue;
        buffers.set(value.name, backend.alloc(valueBytes(value, program)));
      }
      const bindings = new Map([...weights, ...(cross?.bindings ?? []), ...buffers]);
      const executable = await backend.compile(program, bindings);
      return new EncoderStage(parts, maxPages, program, executable, buffers);
    } catch (error) {
      for (const buffer of buffers.values()) backend.free(buffer);
      throw error;
    }
  }

  /** Bytes of temporaries, and of keys and values while a step runs. */
  get arenaBytes(): number {
    const scratch = SCRATCH.map((name) => this.#buffers.get(name)?.bytes ?? 0);
    return scratch.reduce((sum, bytes) => sum + bytes, this.#executable.arenaBytes);
  }

  /** Fills the step record and submits; every sequence has a line of the page table and pages of its own. */
  enqueue(batch: readonly EncoderInput[], cross?: CrossPart): void {
    const { config, cross: hasCross } = this.#parts;
    const step = this.#step;
    const field = (name: string): Int32Array => step.ints(name);
    const [tokens, positions, slots, lengths, sequences, pageTable, outputRows] = FIELDS.map(field);
    const tokenTypes = config.tokenTypes ? field("tokenTypes") : undefined;
    const crossSlots = hasCross ? field("crossSlots") : undefined;
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
    this.#executable.run(step);
  }

  /** Reads an output; must be begun right after the step was enqueued. */
  async read(batch: readonly EncoderInput[], output: EncoderOutput): Promise<Float32Array[]> {
    const buffer = this.#buffers.get(output);
    const value = this.#program.values.find(({ kind, name }) => kind === "output" && name === output);
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

  /** Frees what it holds. */
  [Symbol.dispose](): void {
    this.#executable[Symbol.dispose]();
    for (const buffer of this.#buffers.values()) this.#parts.backend.free(buffer);
  }
}
