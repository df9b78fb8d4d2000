/**
 * Loads the model that the command line names.
 *
 * @module
 */
import { selectBackend } from "../backends/select.ts";
import { load, loadOn } from "../load.ts";
import type { Model } from "../model.ts";
import type { Profile } from "../trace/profile.ts";
import type { ModelOptions } from "./options.ts";
import { Progress } from "./progress.ts";
import { UsageError } from "./usage_error.ts";

/** A loaded model, and how long that took. */
export interface OpenedModel {
  /** The model. */
  readonly model: Model;
  /** Milliseconds of the loading. */
  readonly loadMs: number;
}

/**
 * The model as argument or `--model`; nothing means the one built in.
 *
 * @throws {UsageError} where both are given.
 */
export function modelArgument(argument: string | undefined, option: string | undefined): string | undefined {
  if (argument !== undefined && option !== undefined) {
    throw new UsageError("the model is given twice, as argument and --model; leave one out");
  }
  return argument ?? option;
}

/** The model's path or URL: Hub names stand for what is in the Hub's cache. */
export async function sourceOf(source: string | undefined): Promise<string | undefined> {
  if (source === undefined) return undefined;
  return await (await import("../from_pretrained.ts")).namedModel(source);
}

/** Loads a model, with a progress bar where it takes long. */
export async function openModel(
  source: string | undefined,
  options: ModelOptions,
  signal: AbortSignal,
  { lazyTokenizer, profile, batch, sequences = 1 }: {
    lazyTokenizer: boolean;
    profile?: Profile;
    batch?: boolean;
    sequences?: number;
  },
): Promise<OpenedModel> {
  const { backend, threads, context, kv, quiet, json } = options;
  const started = performance.now();
  const progress = new Progress(quiet !== true && json !== true, "loading {bar} {percentage}% of {bytes}");
  try {
    // A single thread is this one, which has nothing else to do here: a worker would take 10 MB.
    const open: typeof load = threads === 1 && !batch
      ? (source, options) => loadOn(() => selectBackend(backend), source, options)
      : load;
    const model = await open(await sourceOf(source), {
      backend,
      threads,
      contextLength: context,
      kv,
      // One generation needs no cache for more.
      maxSequences: batch ? undefined : sequences,
      lazyTokenizer,
      profile,
      signal,
      onProgress: ({ loaded, total }) => progress.update(loaded, total),
    });
    return { model, loadMs: performance.now() - started };
  } finally {
    progress.stop();
  }
}
