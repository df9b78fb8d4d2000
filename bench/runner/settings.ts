/**
 * What the end-to-end runner, its child processes and the history agree on.
 *
 * @module
 */
import type { BackendName } from "../../src/backends/backend.ts";

/** Unit of a figure. More tokens a second are better, fewer milliseconds are. */
export type Unit = "tok/s" | "ms";

/** How one configuration is measured; figures of equal settings may be compared. */
export interface Settings {
  /** Name of the model file, or `stories`, the model that is part of the module. */
  readonly model: string;
  /** Bytes of the file; 0 for the model that is part of the module. */
  readonly modelBytes: number;
  /** Backend. */
  readonly backend: BackendName;
  /** Threads that compute. */
  readonly threads: number;
  /** Tokens of a prefill. */
  readonly promptTokens: number;
  /** Tokens to decode. */
  readonly genTokens: number;
  /** Tokens in the context of the decode at length. */
  readonly contextTokens: number;
}

/** Order to a child process: one round of one configuration. */
export interface Order extends Settings {
  /** Where the model file is; absent for the model that is part of the module. */
  readonly path?: string;
}

/** Figures of one test. */
export interface Figures {
  /** Unit of all figures. */
  readonly unit: Unit;
  /** One figure a round. */
  readonly values: readonly number[];
}

/** What a child process reports when it is done. */
export interface Report {
  /** Milliseconds of `load`. */
  readonly loadMs: number;
  /** Device and its features. */
  readonly device: string;
  /** Tokens a second by test. */
  readonly rates: Readonly<Record<string, number>>;
  /** Why a test was not run, by test. */
  readonly unavailable: Readonly<Record<string, string>>;
}

/** One line of a child process. */
export type Message =
  | { readonly event: "first token" }
  | { readonly event: "done"; readonly report: Report }
  | { readonly event: "unavailable"; readonly reason: string };

/** Unit of a test by its name. */
export function unitOf(test: string): Unit {
  return test.endsWith("_ms") ? "ms" : "tok/s";
}
