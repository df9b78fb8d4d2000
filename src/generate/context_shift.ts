/**
 * Makes room in a full context: gives pages back and turns the keys of those that stay.
 *
 * @module
 */
import type { Backend, Buffer, CopyRange, Executable } from "../backends/backend.ts";
import { InvalidArgumentError, UnsupportedOpError } from "../errors.ts";
import type { DecoderConfig } from "../models/config.ts";
import { contextShiftProgram } from "../models/context_shift_program.ts";
import { type CacheConfig, cacheName } from "../nn/decoder.ts";
import { StepRecord } from "../program/step.ts";
import type { ContextPlan, KeptPage, PositionKind } from "./context.ts";
import type { Sequence } from "./pages.ts";
import type { ContextRunner } from "./task.ts";

/** What it works on. */
export interface ContextShiftParts {
  /** Where it runs. */
  readonly backend: Backend;
  /** Configuration of the model. */
  readonly config: DecoderConfig;
  /** How its tokens know where they stand. */
  readonly positions: PositionKind;
  /** Shape of the cache. */
  readonly cache: CacheConfig;
  /** Bytes of a page, of keys or values of one layer. */
  readonly pageBytes: number;
  /** The buffers of the cache by their names in Programs. */
  readonly states: ReadonlyMap<string, Buffer>;
}

/** Pages of one step; more take several. */
const STEP_PAGES = 128;

/** Shifts the context of a decoder's sequences. Its Program is compiled when it is first wanted. */
export class ContextShift implements ContextRunner {
  readonly #parts: ContextShiftParts;
  #compiling?: Promise<void>;
  #compiled?: { readonly executable: Executable; readonly step: StepRecord };

  /** One of a decoder's cache. */
  constructor(parts: ContextShiftParts) {
    this.#parts = parts;
  }

  get positions(): PositionKind {
    return this.#parts.positions;
  }

  check(): void {
    const { backend, cache: { dtype }, positions } = this.#parts;
    if (positions !== "rotary") return;
    const dtypes = ["f32", "i32", dtype] as const;
    if (!backend.supports("ropeShift", dtypes)) {
      throw new UnsupportedOpError(backend.name, "ropeShift", dtypes);
    }
  }

  async prepare(): Promise<void> {
    if (this.positions !== "rotary") return;
    try {
      await (this.#compiling ??= this.#compile());
    } catch (error) {
      this.#compiling = undefined;
      throw error;
    }
  }

  apply(sequence: Sequence, plan: ContextPlan): boolean {
    const { backend, states, pageBytes: length } = this.#parts;
    const ranges: CopyRange[] = [];
    const enough = sequence.retain(
      plan,
      (from, to) => void ranges.push({ from: from * length, to: to * length, length }),
    );
    if (!enough) return false;
    if (ranges.length > 0) { for (const buffer of states.values()) backend.copy(buffer, buffer, ranges); }
    const moved = sequence.pages.map((page, i): KeptPage => ({ ...plan.kept[i], page }))
      .filter(({ ropeShift }) => ropeShift !== 0);
    for (let i = 0; i < moved.length; i += STEP_PAGES) this.#turn(moved.slice(i, i + STEP_PAGES));
    return true;
  }

  /** Frees the Program. */
  [Symbol.dispose](): void {
    this.#compiled?.executable[Symbol.dispose]();
    this.#compiled = undefined;
  }

  #turn(pages: readonly KeptPage[]): void {
    if (!this.#compiled) throw new InvalidArgumentError("a context shift must be prepared before it is run");
    const { executable, step } = this.#compiled;
    step.setCounts(pages.length, 0);
    step.ints("pages").set(pages.map(({ page }) => page));
    step.ints("shifts").set(pages.map(({ ropeShift }) => ropeShift));
    executable.run(step);
  }

  async #compile(): Promise<void> {
    const { backend, config, cache, states } = this.#parts;
    const program = contextShiftProgram(config, cache, Math.min(cache.maxPages, STEP_PAGES));
    const keys = Array.from({ length: config.layers }, (_, layer) => cacheName(layer, "keys"));
    const bindings = new Map([...states].filter(([name]) => keys.includes(name)));
    this.#compiled = {
      executable: await backend.compile(program, bindings),
      step: new StepRecord(program),
    };
  }
}
