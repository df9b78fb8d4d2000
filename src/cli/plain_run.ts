/**
 * Reads the command lines of `run` that have nothing wrong or unusual, without `commander`, which loads a part of Node's
 * modules: milliseconds before the first token, and megabytes. Everything else is left to it.
 *
 * @module
 */
import type { Job } from "./commands.ts";
import type { Option } from "./option.ts";
import { commonOptions } from "./options.ts";
import { runOptions } from "./run_options.ts";
import type { RunOptions } from "./run.ts";
import { checkBarePrompt, withVerb } from "./verbs.ts";

/** The arguments of `run`. */
export interface PlainRun {
  /** The prompt. */
  readonly prompt?: string;
  /** The options that are there, by key. */
  readonly options: RunOptions;
}

/** The job of a plain `run`; nothing where `commander` has to look at the arguments. */
export function plainRun(args: readonly string[], signal: AbortSignal): Job | undefined {
  const [verb, ...rest] = withVerb(args);
  const read = verb === "run" ? readArguments(rest, [...runOptions(), ...commonOptions()]) : undefined;
  if (!read) return undefined;
  const { prompt, options } = read;
  if (rest.length === args.length) checkBarePrompt(prompt);
  return async () => (await import("./run.ts")).run(prompt, options, signal);
}

/** Reads arguments that are options, written out, and at most one prompt; gives nothing where there is anything else. */
export function readArguments(args: readonly string[], known: readonly Option[]): PlainRun | undefined {
  const options: Record<string, unknown> = {};
  let prompt: string | undefined;
  for (let i = 0; i < args.length; i++) {
    if (!args[i].startsWith("-") || args[i] === "-") {
      if (prompt !== undefined) return undefined;
      prompt = args[i];
      continue;
    }
    const option = known.find(({ long }) => long === args[i]);
    if (!option) return undefined;
    if (!option.takesValue) options[option.key] = !option.negated;
    else {
      const text = args[++i];
      if (text === undefined || text.startsWith("-")) return undefined;
      try {
        options[option.key] = valueOf(option, text, options[option.key]);
      } catch {
        // `commander` tells what is wrong.
        return undefined;
      }
    }
  }
  const clash = known.some(({ key, conflict }) =>
    conflict !== undefined && key in options && conflict in options
  );
  return clash ? undefined : { prompt, options };
}

function valueOf({ values, parseValue }: Option, text: string, earlier: unknown): unknown {
  if (values && !values.includes(text)) throw new RangeError(`${text} is no choice`);
  return parseValue ? parseValue(text, earlier) : text;
}
