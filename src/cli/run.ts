/**
 * `run`: completes a prompt, or answers it as a chat.
 *
 * @module
 */
import type { GenerationResult } from "../generate/generate_all.ts";
import type { GenerationStats } from "../generate/generation.ts";
import type { SearchResult } from "../generate/search.ts";
import type { Model } from "../model.ts";
import { formatRate, plural } from "./format.ts";
import { textArgument } from "./input.ts";
import { EXIT_INTERRUPTED } from "./interrupt.ts";
import { openModel } from "./open_model.ts";
import type { GenerationOptions, ModelOptions } from "./options.ts";
import { note, print, printJson } from "./output.ts";
import { type BeamOptions, checkBeams, searchBeams } from "./run_beams.ts";
import { chosenSampling } from "./sampling_options.ts";
import { UsageError } from "./usage_error.ts";

/** Options of `run`. */
export interface RunOptions extends ModelOptions, GenerationOptions, BeamOptions {
  /** Token ids in place of the prompt. */
  promptIds?: number[];
  /** Instructions of a chat. */
  system?: string;
}

/** Runs it; gives the exit code. */
export async function run(
  prompt: string | undefined,
  options: RunOptions,
  signal: AbortSignal,
): Promise<number> {
  checkBeams(options);
  const given = await readPrompt(prompt, options, signal);
  const lazyTokenizer = typeof given !== "string";
  const profile = options.profile || options.trace
    ? new (await import("../trace/profile.ts")).Profile()
    : undefined;
  const { model: opened, loadMs } = await openModel(options.model, options, signal, {
    lazyTokenizer,
    profile,
    sequences: options.beams,
  });
  await using model = opened;
  const modelPrompt = await asModelPrompt(model, given, options.system);
  const result: GenerationResult & Partial<SearchResult> = options.beams === undefined
    ? await write(model, modelPrompt, options, signal)
    : await searchBeams(model, modelPrompt, options, signal);
  const { text, beams, ...stats } = result;
  if (beams && !options.json) print(text);
  if (options.json) {
    printJson({
      ...await describe(model, text, stats, loadMs),
      ...(beams ? { beams: beams.map(({ ids, score }) => ({ ids, score })) } : {}),
    });
  } else if (text !== "" && !text.endsWith("\n")) print("\n");
  if (!options.quiet && !options.json) note(summary(model, stats, loadMs));
  if (profile) {
    const { reportProfile } = await import("./profile.ts");
    await reportProfile(profile, model.backend.name, options.trace);
  }
  return stats.finishReason === "abort" ? EXIT_INTERRUPTED : 0;
}

/** Generates, and prints the text as it comes. */
async function write(
  model: Model,
  prompt: string | readonly number[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<GenerationResult> {
  const generation = model.generate(prompt, {
    maxTokens: options.maxTokens,
    contextFull: options.contextFull,
    keep: options.keep,
    ignoreEos: options.ignoreEos,
    stop: options.stop,
    ...chosenSampling(options),
    signal,
  });
  let text = "";
  for await (const chunk of generation) {
    text += chunk.text;
    if (!options.json) print(chunk.text);
  }
  return { text, ...await generation.stats() };
}

async function readPrompt(
  prompt: string | undefined,
  { promptIds, system }: RunOptions,
  signal: AbortSignal,
): Promise<string | readonly number[]> {
  if (promptIds === undefined) {
    if (prompt === undefined) {
      throw new UsageError('there is no prompt, write one: llmforge "Once upon a time"');
    }
    return await textArgument(prompt, signal);
  }
  if (prompt !== undefined) throw new UsageError("give a prompt or --prompt-ids, not both");
  if (system !== undefined) throw new UsageError("--system needs a prompt of text, not --prompt-ids");
  return promptIds;
}

async function asModelPrompt(
  model: Model,
  prompt: string | readonly number[],
  system: string | undefined,
): Promise<string | readonly number[]> {
  if (system === undefined || typeof prompt !== "string") return prompt;
  const text = await model.applyChatTemplate([
    { role: "system", content: system },
    { role: "user", content: prompt },
  ]);
  // The template writes the special tokens itself.
  return model.tokenizer.encode(text, { addSpecial: false, parseSpecial: true });
}

async function describe(
  model: Model,
  text: string,
  stats: GenerationStats,
  loadMs: number,
): Promise<Record<string, unknown>> {
  const { peakMemory } = await import("./peak_memory.ts");
  return {
    text,
    ids: stats.ids,
    prompt_ids: stats.promptIds,
    finish_reason: stats.finishReason,
    backend: model.backend.name,
    threads: model.backend.device.threads,
    model: model.name,
    timings: {
      load_ms: loadMs,
      prefill_tokens: stats.prefillTokens,
      prefill_tok_s: stats.prefillTokensPerSecond,
      decode_tokens: stats.decodeTokens,
      decode_tok_s: stats.decodeTokensPerSecond,
      ttft_ms: stats.timeToFirstToken,
    },
    memory: { ...model.memory, peak_rss: await peakMemory() },
  };
}

function summary(model: Model, stats: GenerationStats, loadMs: number): string {
  const { name, device } = model.backend;
  const prefill = `${plural(stats.prefillTokens, "prompt token")} at ${
    formatRate(stats.prefillTokensPerSecond)
  }`;
  const decode = `${plural(stats.ids.length, "token")} at ${formatRate(stats.decodeTokensPerSecond)}`;
  return `${model.name} on ${name}, ${plural(device.threads, "thread")}: loaded in ${
    loadMs.toFixed(0)
  } ms, ` +
    `first token after ${stats.timeToFirstToken.toFixed(0)} ms, ${prefill}, ${decode}`;
}
