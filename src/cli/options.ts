/**
 * The options of the command line: each is defined once, with its check.
 *
 * @module
 */
import { InvalidArgumentError, Option } from "commander";
import { BACKEND_NAMES, type BackendChoice } from "../backends/select.ts";

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
  /** File, folder or URL. */
  model?: string;
  /** Where to run. */
  backend?: BackendChoice;
  /** Threads that compute. */
  threads?: number;
  /** Context in tokens. */
  context?: number;
  /** Element type of the KV cache. */
  kv?: "auto" | "f32" | "f16";
  /** Show where the time goes. */
  profile?: boolean;
  /** File for the trace of every op. */
  trace?: string;
}

/** Options that say how tokens are chosen and when to stop. */
export interface GenerationOptions {
  /** Seed of the draws. */
  seed?: number;
  /** The most tokens to generate. */
  maxTokens?: number;
  /** Go on after the end of the text. */
  ignoreEos?: boolean;
  /** Texts that end the generation. */
  stop?: string[];
  /** 0 is greedy. */
  temperature?: number;
  /** Keeps the k likeliest tokens. */
  topK?: number;
  /** Keeps the likeliest tokens up to this probability. */
  topP?: number;
  /** Keeps tokens this likely beside the likeliest. */
  minP?: number;
  /** Makes tokens that were seen less likely. */
  repetitionPenalty?: number;
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
    new Option("--model <model>", ".gguf or .safetensors file, or folder; default: the model built in"),
    new Option("--backend <name>", "where to run").choices(["auto", ...BACKEND_NAMES]),
    new Option(
      "--threads <n>",
      "threads to compute with; default: one a core, 8 at most; none for a small model",
    )
      .argParser(whole(1, 1024)),
    new Option("--context <n>", "context in tokens; default: the model's own").argParser(whole(1)),
    new Option("--kv <type>", "KV cache; auto: f32 for f32 weights, else f16").choices([
      "auto",
      "f32",
      "f16",
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
    new Option("--ignore-eos", "go on after the end of the text"),
    new Option("--stop <text>", "end at this text, which is not printed; may be repeated").argParser(texts),
    new Option("--temperature <t>", "0 always takes the likeliest token; default: the model's, or 0")
      .argParser(number(0)),
    new Option("--top-k <k>", "keep the k likeliest tokens").argParser(whole(0, 2 ** 31)),
    new Option("--top-p <p>", "keep the likeliest tokens that make up this probability")
      .argParser(number(0, 1)),
    new Option("--min-p <p>", "keep tokens at least this likely beside the likeliest").argParser(
      number(0, 1),
    ),
    new Option("--repetition-penalty <r>", "above 1: tokens that were seen become less likely")
      .argParser(number(Number.MIN_VALUE)),
    new Option("--seed <n>", "the same seed draws the same tokens").argParser(whole(0)),
  ];
}

/** Parses a whole number of `min` to `max`. */
export function whole(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number ${range(min, max, Number.MAX_SAFE_INTEGER)}`);
  };
}

/** Parses a decimal number of `min` to `max`. */
export function number(min: number, max: number = Number.MAX_VALUE): (text: string) => number {
  return (text) => {
    const value = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a number ${range(min, max, Number.MAX_VALUE)}`);
  };
}

/** Parses token ids such as `1,2,3`. */
export function tokenIds(text: string): number[] {
  const parts = text.split(",").map((part) => part.trim());
  const ids = parts.map((part) => /^\d+$/.test(part) ? Number(part) : NaN);
  if (ids.every(Number.isSafeInteger)) return ids;
  throw new InvalidArgumentError("It must be token ids such as 1,2,3");
}

/** Parses token ids, a list for each time that the option is given. */
export function tokenIdLists(text: string, earlier: number[][] = []): number[][] {
  return [...earlier, tokenIds(text)];
}

function texts(text: string, earlier: string[] = []): string[] {
  if (text === "") throw new InvalidArgumentError("It must not be empty");
  return [...earlier, text];
}

function range(min: number, max: number, unlimited: number): string {
  if (min === Number.MIN_VALUE) return "above 0";
  return max === unlimited ? `of at least ${min}` : `of ${min} to ${max}`;
}
