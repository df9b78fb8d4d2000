/**
 * The options of the command line: each is defined once, with its check.
 *
 * @module
 */
import { BACKEND_NAMES, type BackendChoice } from "../backends/select.ts";
import { CONTEXT_POLICIES, type ContextOptions } from "../generate/context.ts";
import type { SamplingOptions } from "../sampling/options.ts";
import { Option } from "./option.ts";
import { samplingOptions } from "./sampling_options.ts";
import { texts, whole } from "./values.ts";

export { number, tokenIdLists, tokenIds, whole } from "./values.ts";

/** Options that every command has. */
export interface CommonOptions {
  /** The last line of standard output is one JSON object. */
  json?: boolean;
  /** Nothing on standard error but errors. */
  quiet?: boolean;
  /** Errors come with their stack. */
  verbose?: boolean;
}

/** Options of every command that loads a model. */
export interface ModelOptions extends CommonOptions {
  /** File, folder, URL or Hub name. */
  model?: string;
  /** Where to run. */
  backend?: BackendChoice;
  /** Threads that compute. */
  threads?: number;
  /** Context in tokens. */
  context?: number;
  /** Element type of the KV cache. */
  kv?: "auto" | "f32" | "f16" | "q16" | "q8";
  /** Show where the time goes. */
  profile?: boolean;
  /** File for the trace of every op. */
  trace?: string;
}

/** Options that say how tokens are chosen and when to stop. */
export interface GenerationOptions extends SamplingOptions, ContextOptions {
  /** The most tokens to generate. */
  maxTokens?: number;
  /** Go on after the end of the text. */
  ignoreEos?: boolean;
  /** Texts that end the generation. */
  stop?: string[];
}

/** Makes the common options. */
export function commonOptions(): Option[] {
  return [
    new Option("--json", "print one JSON object, as the last line of standard output"),
    new Option("--quiet", "print nothing on standard error but errors"),
    new Option("--verbose", "print the stack of an error"),
  ];
}

/** Makes the options of commands that load a model. */
export function modelOptions(): Option[] {
  return [
    new Option(
      "--model <model>",
      "file (.gguf, .safetensors, .forge), folder, URL, or org/name after `hf download`; default: the model built in",
    ),
    new Option("--backend <name>", "where to run").choices(["auto", ...BACKEND_NAMES]),
    new Option(
      "--threads <n>",
      "threads to compute with; default: one a core, 8 at most; none for a small model",
    )
      .argParser(whole(1, 1024)),
    new Option("--context <n>", "context in tokens; default: the model's own").argParser(whole(1)),
    new Option("--kv <type>", "KV cache; auto: f32 for f32 weights, else q16 where it fits, or f16").choices([
      "auto",
      "f32",
      "f16",
      "q16",
      "q8",
    ]),
  ];
}

/** Makes the options that show where the time goes. */
export function profileOptions(): Option[] {
  return [
    new Option("--profile", "show the time of each op and layer, computed one by one on a single thread"),
    new Option(
      "--trace <file>",
      "as --profile, and write every op to a file for Perfetto or chrome://tracing",
    ),
  ];
}

/** Makes the options of a generation. */
export function generationOptions(): Option[] {
  return [
    new Option("--max-tokens <n>", "the most tokens to generate; default: 256").argParser(whole(0)),
    new Option(
      "--context-full <how>",
      "when the context is full: fail, drop the oldest tokens, or half of all; default: error",
    )
      .choices(
        CONTEXT_POLICIES,
      ),
    new Option("--keep <n>", "first tokens that --context-full never drops; default: 4").argParser(
      whole(0),
    ),
    new Option("--ignore-eos", "go on after the end of the text"),
    new Option("--stop <text>", "end at this text, which is not printed; may be repeated").argParser(texts),
    ...samplingOptions(),
  ];
}
