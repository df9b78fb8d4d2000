/**
 * A decoder on a backend: its KV cache, and its Program compiled for as many sequences as are wanted.
 *
 * @module
 */
import type { Backend, Buffer, WeightHandle } from "../backends/backend.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { Architecture } from "../models/architecture.ts";
import type { DecoderConfig } from "../models/config.ts";
import { type CacheConfig, type CacheDType, cacheName } from "../nn/decoder.ts";
import type { Profile } from "../trace/profile.ts";
import type { PositionKind } from "./context.ts";
import { ContextShift } from "./context_shift.ts";
import type { CrossCache } from "./cross_cache.ts";
import { DecoderStage } from "./decoder_stage.ts";
import { pageBytes, PagePool, pagesFor, type Sequence } from "./pages.ts";
import { nextEntries, StepAhead } from "./step_ahead.ts";
import type { RowOutput, StepCapacity, StepEntry, StepRunner } from "./task.ts";

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
  /** Tokens that the cache holds, of all sequences together. */
  readonly cacheTokens: number;
  /** The most sequences of one step. */
  readonly maxSequences: number;
  /** Element type of the KV cache. */
  readonly cacheDType: CacheDType;
  /** What the encoder of an encoder–decoder writes to. */
  readonly cross?: CrossCache;
  /** Where the times of every op go; steps are then run op by op, on the calling thread. */
  readonly profile?: Profile;
}

/** Rows of a step: long prompts are cut into chunks of this many tokens. Each takes 23 KB in SmolLM2-135M. */
export const PREFILL_ROWS = 128;
/** Rows of prompts in a step where other sequences decode: they wait no longer than such a step takes. */
const MIXED_ROWS = 64;
/** Of steps that come faster than this, in milliseconds, several may be begun ahead. */
const FAST = 10;
/** Sequences and outputs of the compiled Programs: a step takes the first that is large enough. */
const STAGES = [1, 8, 64];

/** Bytes of the KV cache for so many tokens. */
export function cacheBytes(config: DecoderConfig, tokens: number, dtype: CacheDType): number {
  if (config.kind === "encoder") return 0;
  return 2 * config.layers * pagesFor(tokens) * pageBytes(config, dtype);
}

/** How the tokens of a model know where they stand. */
function positionKind({ config, weights }: Pick<DecoderParts, "config" | "weights">): PositionKind {
  if (weights.has("positions.weight")) return "learned";
  return config.rope ? "rotary" : "alibi";
}

/** A model on a backend, ready to run. */
export class Decoder implements StepRunner {
  readonly capacity: StepCapacity;
  readonly pool: PagePool;
  readonly context: ContextShift;
  readonly #parts: DecoderParts;
  readonly #states = new Map<string, Buffer>();
  readonly #stages: DecoderStage[] = [];
  readonly #sizes: readonly number[];
  /** Steps that are begun, in their order. */
  #ahead: StepAhead[] = [];
  /** Steps that were begun and are not wanted; what they fail with is told by the next one that is run. */
  #dropped: StepAhead[] = [];
  #ranAt = -Infinity;
  #closed = false;

  private constructor(parts: DecoderParts) {
    this.#parts = parts;
    const { maxSequences } = parts;
    this.#sizes = [...STAGES, maxSequences].sort((a, b) => a - b);
    const outputs = this.#sizes[this.#sizes.length - 1];
    this.capacity = { rows: PREFILL_ROWS, mixedRows: MIXED_ROWS, sequences: maxSequences, outputs };
    this.pool = new PagePool(pagesFor(parts.cacheTokens));
    this.context = new ContextShift({
      ...parts,
      positions: positionKind(parts),
      cache: this.#cache(maxSequences),
      pageBytes: pageBytes(parts.config, parts.cacheDType),
      states: this.#states,
    });
  }

  /** Allocates the cache and compiles the Program for one sequence. */
  static async create(parts: DecoderParts): Promise<Decoder> {
    const decoder = new Decoder(parts);
    const { backend, config, cacheTokens, cacheDType } = parts;
    const bytes = pagesFor(cacheTokens) * pageBytes(config, cacheDType);
    try {
      for (let layer = 0; layer < config.layers; layer++) {
        for (const part of ["keys", "values"] as const) {
          decoder.#states.set(cacheName(layer, part), backend.alloc(bytes));
        }
      }
      await decoder.prepare(1, 1);
    } catch (error) {
      decoder[Symbol.dispose]();
      throw error;
    }
    return decoder;
  }

  get contextLength(): number {
    return this.#parts.contextLength;
  }
  get vocabSize(): number {
    return this.#parts.config.vocabSize;
  }
  /** Bytes of the KV cache. */
  get cacheBytes(): number {
    return [...this.#states.values()].reduce((sum, buffer) => sum + buffer.bytes, 0);
  }
  /** Bytes of temporaries. */
  get arenaBytes(): number {
    return this.#stages.reduce((sum, stage) => sum + stage.arenaBytes, 0);
  }

  prepare(sequences: number, outputs: number): Promise<void> | undefined {
    if (this.#closed) throw new InvalidArgumentError("the model is closed; load it again");
    if (this.#stage(sequences, outputs)) return undefined;
    const size = this.#sizes.find((size) => size >= Math.max(sequences, outputs));
    return this.#compile(size ?? this.capacity.outputs);
  }

  run(entries: readonly StepEntry[]): Promise<readonly RowOutput[]> {
    const stage = this.#stage(entries.length, entries.reduce((sum, { outputs }) => sum + outputs, 0));
    if (!stage) throw new InvalidArgumentError("a step must be prepared before it is run");
    for (const { sequence, tokens } of entries) sequence.reserve(tokens.length);
    const [first, ...later] = this.#ahead;
    const answer = first?.answer(entries);
    const inOrder = answer !== undefined && first.hasRowsOf(entries);
    if (!inOrder) this.#dropped.push(...(answer ? later : this.#ahead));
    this.#ahead = inOrder ? later : [];
    const result = answer ?? this.#runBehind(stage, entries);
    for (const { sequence, tokens } of entries) sequence.advance(tokens.length);
    if (inOrder || !answer) this.#goAhead(stage, entries, result);
    return result;
  }

  /** Runs a step behind those that were dropped, which have ended when it has. */
  async #runBehind(stage: DecoderStage, entries: readonly StepEntry[]): Promise<readonly RowOutput[]> {
    const dropped = this.#dropped;
    this.#dropped = [];
    const outputs = await stage.run(entries);
    for (const step of dropped) await step.outputs;
    return outputs;
  }

  /** Begins the steps that most likely come next: one, and more where they follow each other so fast that they are waited for longer. */
  #goAhead(stage: DecoderStage, entries: readonly StepEntry[], before: Promise<readonly RowOutput[]>): void {
    const now = performance.now();
    const most = now - this.#ranAt < FAST ? stage.mostAhead : Math.min(stage.mostAhead, 1);
    this.#ranAt = now;
    while (this.#ahead.length < most) {
      const next = nextEntries(entries, this.#ahead.length);
      if (!next) break;
      this.#ahead.push(new StepAhead(next, this.#ahead.at(-1)?.outputs ?? before, stage.runAhead(next)));
    }
  }

  /** A second sequence with the same tokens. */
  fork(sequence: Sequence): Sequence {
    const { backend, config, cacheDType } = this.#parts;
    const length = pageBytes(config, cacheDType);
    return sequence.fork((from, to) => {
      const ranges = [{ from: from * length, to: to * length, length }];
      for (const buffer of this.#states.values()) backend.copy(buffer, buffer, ranges);
    });
  }

  /** Bytes of a page in the caches of all layers together. */
  get pageBytes(): number {
    const { config, cacheDType } = this.#parts;
    return this.#states.size * pageBytes(config, cacheDType);
  }

  /** Element type of the cache. */
  get cacheDType(): CacheDType {
    return this.#parts.cacheDType;
  }

  /** Reads a page out of the caches of all layers, keys and then values of each, once all that was asked for is done. */
  async readPage(page: number, into: Uint8Array): Promise<void> {
    await Promise.all(
      this.#slices(page, into).map(([buffer, at, part]) => this.#parts.backend.read(buffer, at, part)),
    );
  }

  /** Writes what `readPage` has read. Nobody may be using the page. */
  writePage(page: number, bytes: Uint8Array): void {
    for (const [buffer, at, part] of this.#slices(page, bytes)) this.#parts.backend.write(buffer, at, part);
  }

  /** Frees the cache and the Programs; weights stay with their owner. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.context[Symbol.dispose]();
    for (const stage of this.#stages) stage[Symbol.dispose]();
    for (const buffer of this.#states.values()) this.#parts.backend.free(buffer);
    this.#stages.length = 0;
    this.#states.clear();
  }

  /** Where a page is in each cache, and which part of `bytes` belongs there. */
  #slices(page: number, bytes: Uint8Array): [buffer: Buffer, offset: number, part: Uint8Array][] {
    if (this.#closed) throw new InvalidArgumentError("the model is closed; load it again");
    const length = pageBytes(this.#parts.config, this.#parts.cacheDType);
    return [...this.#states.values()].map((buffer, i) => [
      buffer,
      page * length,
      bytes.subarray(i * length, (i + 1) * length),
    ]);
  }

  /** The smallest that is compiled and large enough. */
  #stage(sequences: number, outputs: number): DecoderStage | undefined {
    return this.#stages.find(({ shape }) => shape.cache.sequences >= sequences && shape.outputs >= outputs);
  }

  #cache(sequences: number): CacheConfig {
    const { contextLength, cacheDType, cross } = this.#parts;
    return {
      pages: this.pool.size,
      maxPages: pagesFor(contextLength),
      sequences,
      dtype: cacheDType,
      ...(cross ? { cross: cross.shape } : {}),
    };
  }

  async #compile(size: number): Promise<void> {
    const cache = this.#cache(Math.min(size, this.capacity.sequences));
    const shape = { rows: PREFILL_ROWS, outputs: size, cache };
    this.#stages.push(await DecoderStage.create(this.#parts, shape, this.#states));
    this.#stages.sort((a, b) => a.shape.outputs - b.shape.outputs);
  }
}
