/**
 * The commands: their arguments, options and one line of help. What a command does is imported when it runs.
 *
 * @module
 */
import type { Command } from "commander";
import { QUANT_KINDS } from "../convert/quant_kinds.ts";
import type { BatchOptions } from "./batch.ts";
import type { BenchOptions } from "./bench.ts";
import type { ChatCommandOptions } from "./chat.ts";
import { commanderOption } from "./commander.ts";
import type { ConvertCommandOptions } from "./convert.ts";
import type { InspectOptions } from "./inspect.ts";
import type { EmbedCommandOptions } from "./embed.ts";
import type { LogitsOptions } from "./logits.ts";
import { Option } from "./option.ts";
import { type CommonOptions, commonOptions, generationOptions } from "./options.ts";
import { modelOptions, tokenIdLists, tokenIds, whole } from "./options.ts";
import type { EvalOptions } from "./eval.ts";
import type { RunOptions } from "./run.ts";
import { runOptions } from "./run_options.ts";
import type { TokenizeOptions } from "./tokenize.ts";
import { checkBarePrompt } from "./verbs.ts";
import { POOLINGS } from "../models/pooling.ts";

/** What is to be done; gives the exit code. */
export type Job = () => Promise<number>;

/** What the commands are given. */
export interface CommandContext {
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** No command was named: the first argument is a prompt. */
  readonly bare: boolean;
  /** Told what to do. */
  choose(job: Job): void;
}

const MODEL = "file, folder, URL or Hub name; default: the model built in";

/** Adds all commands to the program. */
export function addCommands(program: Command, context: CommandContext): void {
  const { signal, choose } = context;
  addRun(program, context);
  add(program, "chat", "talk with a model, turn by turn; /help there says how", [
    ...modelOptions(),
    new Option("--system <text>", "instructions that come before everything else"),
    new Option("--chat-template <file>", "Jinja template of the conversation; default: the model's own"),
    ...generationOptions(),
  ])
    .argument("[model]", MODEL)
    .action((model: string | undefined, options: ChatCommandOptions) =>
      choose(async () => (await import("./chat.ts")).chat(model, options, signal))
    );
  add(program, "inspect", "show metadata, tensors, the memory needed and whether it fits", [
    // Nothing is computed.
    ...modelOptions().filter(({ long }) => long !== "--threads"),
    new Option("--verify", "read all of a .forge file and check its checksums"),
  ])
    .argument("[model]", MODEL)
    .action((model: string | undefined, options: InspectOptions) =>
      choose(async () => (await import("./inspect.ts")).inspect(model, options, signal))
    );
  add(program, "convert", "write a model in another format, or quantized", [
    new Option("--to <format>", "format; default: by the ending of the target, else a folder of safetensors")
      .choices(["gguf", "safetensors", "forge"]),
    new Option("--quant <dtype>", "dtype of the matrices; default: as they are").choices(QUANT_KINDS),
  ])
    .argument("<source>", "file, folder, URL or Hub name")
    .argument("<target>", "file or folder to write")
    .action((source: string, target: string, options: ConvertCommandOptions) =>
      choose(async () => (await import("./convert.ts")).convertModel(source, target, options, signal))
    );
  add(program, "tokenize", "show the token ids and pieces of a text", [
    new Option("--special", "special tokens written in the text count as such"),
  ])
    .argument("[model]", MODEL)
    .argument("[text]", "the text, or - for standard input")
    .usage("[options] [model] <text>")
    .action((model: string | undefined, text: string | undefined, options: TokenizeOptions) =>
      choose(async () => (await import("./tokenize.ts")).tokenize(model, text, options, signal))
    );
  add(program, "logits", "show the logits after the last of some tokens", [
    ...modelOptions(),
    new Option("--ids <ids>", "token ids such as 1,2,3").argParser(tokenIds).makeOptionMandatory(),
    new Option("--decoder-ids <ids>", "ids for the decoder, where --ids are for an encoder beside it")
      .argParser(tokenIds),
    new Option("--top <n>", "only the n highest").argParser(whole(1)),
  ])
    .argument("[model]", MODEL)
    .action((model: string | undefined, options: LogitsOptions) =>
      choose(async () => (await import("./logits.ts")).logits(model, options, signal))
    );
  add(program, "embed", "show the vector of each text", [
    ...modelOptions(),
    new Option("--ids <ids>", "token ids such as 1,2,3 in place of a text; may be repeated").argParser(
      tokenIdLists,
    ),
    new Option("--pooling <kind>", "how the vectors of tokens become one; default: the model's, or mean")
      .choices(POOLINGS),
    new Option("--no-normalize", "leave the lengths of the vectors as they are"),
  ])
    .argument("[words...]", "the model, and the texts, or - for standard input")
    .usage("[options] <model> <text>...")
    .action((words: string[], options: EmbedCommandOptions) =>
      choose(async () => (await import("./embed.ts")).embed(words, options, signal))
    );
  add(program, "eval", "measure the perplexity of a text, in windows of --context tokens", [
    ...modelOptions(),
    new Option("--text <file>", "text file, or - for standard input").makeOptionMandatory(),
  ])
    .argument("[model]", MODEL)
    .action((model: string | undefined, options: EvalOptions) =>
      choose(async () => (await import("./eval.ts")).evaluate(model, options, signal))
    );
  add(program, "bench", "measure the speed of prefill and decode", [
    ...modelOptions(),
    new Option("--prompt-tokens <n>", "tokens of a prefill; default: 512").argParser(whole(0)),
    new Option("--gen-tokens <n>", "tokens to decode; default: 128").argParser(whole(0)),
    new Option("--repeat <n>", "measurements of each").argParser(whole(1)).default(3),
  ])
    .argument("[model]", MODEL)
    .action((model: string | undefined, options: BenchOptions) =>
      choose(async () => (await import("./bench.ts")).bench(model, options, signal))
    );
  add(
    program,
    "batch",
    "complete many prompts: a file of lines of JSON to another, in order; goes on where it was stopped",
    [
      ...modelOptions(),
      ...generationOptions(),
    ],
  )
    .argument(
      "<in.jsonl>",
      'lines such as {"prompt": "Once", "max_tokens": 64}, or with prompt_ids or messages',
    )
    .argument("<out.jsonl>", "where the results go; those that are there are kept")
    .action((input: string, output: string, options: BatchOptions) =>
      choose(async () => (await import("./batch.ts")).batch(input, output, options, signal))
    );
  add(program, "doctor", "show which backends work here, and which one is chosen", [])
    .action((options: CommonOptions) => choose(async () => (await import("./doctor.ts")).doctor(options)));
}

function addRun(program: Command, { signal, bare, choose }: CommandContext): void {
  add(program, "run", "complete a prompt (the default command)", runOptions())
    .argument("[prompt]", "the text to go on from, or - for standard input")
    .action((prompt: string | undefined, options: RunOptions) => {
      if (bare) checkBarePrompt(prompt);
      choose(async () => (await import("./run.ts")).run(prompt, options, signal));
    });
}

function add(program: Command, name: string, description: string, options: readonly Option[]): Command {
  const command = program.command(name).description(description);
  for (const option of [...options, ...commonOptions()]) command.addOption(commanderOption(option));
  return command;
}
