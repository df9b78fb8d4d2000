/**
 * One line of a batch job: what it asks for.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import { isObject } from "../formats/json.ts";
import type { GenerateOptions } from "../generate/generation.ts";
import type { ChatMessage } from "../tokenizer/chat_template.ts";
import type { GenerationOptions } from "./options.ts";
import { chosenSampling } from "./sampling_options.ts";

/** A request. */
export interface BatchRequest {
  /** Name that the result has, too. */
  readonly id?: string | number;
  /** Text or ids to go on from. */
  readonly prompt: string | readonly number[];
  /** A conversation, in place of the prompt. */
  readonly messages?: readonly ChatMessage[];
  /** Options of the line, else those of the command line. */
  readonly options: GenerateOptions;
}

type Kind = "number" | "boolean" | "text" | "texts";

/** Options by their names in a line: what the library calls them, and of which kind they are. */
const OPTIONS: Readonly<Record<string, readonly [keyof GenerationOptions, Kind]>> = {
  max_tokens: ["maxTokens", "number"],
  temperature: ["temperature", "number"],
  top_k: ["topK", "number"],
  top_p: ["topP", "number"],
  min_p: ["minP", "number"],
  repetition_penalty: ["repetitionPenalty", "number"],
  seed: ["seed", "number"],
  stop: ["stop", "texts"],
  ignore_eos: ["ignoreEos", "boolean"],
  context_full: ["contextFull", "text"],
  keep: ["keep", "number"],
};
const PROMPTS = ["prompt", "prompt_ids", "messages"];

/**
 * Reads a line.
 *
 * @throws {SyntaxError} where it is not JSON.
 * @throws {InvalidArgumentError} where it is no request.
 */
export function parseRequest(text: string, defaults: GenerationOptions): BatchRequest {
  const line: unknown = JSON.parse(text);
  if (!isObject(line)) throw new InvalidArgumentError(`a line must be an object such as {"prompt": "Once"}`);
  const given = PROMPTS.filter((name) => line[name] !== undefined);
  if (given.length !== 1) {
    throw new InvalidArgumentError(
      `a line must have one of ${PROMPTS.join(", ")}, not ${given.length} of them`,
    );
  }
  const unknown = Object.keys(line).find((name) =>
    name !== "id" && !PROMPTS.includes(name) && !Object.hasOwn(OPTIONS, name)
  );
  if (unknown !== undefined) {
    const known = Object.keys(OPTIONS).join(", ");
    throw new InvalidArgumentError(`there is no option ${JSON.stringify(unknown)}; there are ${known}`);
  }
  return { id: checkedId(line.id), ...promptOf(line), options: optionsOf(line, defaults) };
}

/** The id of a line; nothing where it has none. */
export function idOf(text: string): unknown {
  try {
    const line: unknown = JSON.parse(text);
    return isObject(line) ? checkedId(line.id) : undefined;
  } catch {
    return undefined;
  }
}

function checkedId(id: unknown): string | number | undefined {
  if (id === undefined || typeof id === "string" || typeof id === "number") return id;
  throw new InvalidArgumentError("id must be a text or a number");
}

function promptOf(
  { prompt, prompt_ids: ids, messages }: Record<string, unknown>,
): Omit<BatchRequest, "options"> {
  if (messages !== undefined) {
    if (Array.isArray(messages) && messages.every(isMessage)) return { prompt: "", messages };
    throw new InvalidArgumentError(`messages must be a list such as [{"role": "user", "content": "Hi"}]`);
  }
  if (ids === undefined) {
    if (typeof prompt === "string") return { prompt };
    throw new InvalidArgumentError("prompt must be a text");
  }
  if (Array.isArray(ids) && ids.every((id) => typeof id === "number")) return { prompt: ids };
  throw new InvalidArgumentError("prompt_ids must be a list of token ids");
}

function optionsOf(line: Record<string, unknown>, defaults: GenerationOptions): GenerateOptions {
  // Flags that lines have no word for count too.
  const sampling = Object.entries(chosenSampling(defaults)).filter(([, value]) => value !== undefined);
  const options: Record<string, unknown> = Object.fromEntries(sampling);
  for (const [name, [key, kind]] of Object.entries(OPTIONS)) {
    const value = line[name] ?? defaults[key];
    if (value === undefined) continue;
    if (!KINDS[kind].is(value)) throw new InvalidArgumentError(`${name} must be ${KINDS[kind].name}`);
    options[key] = value;
  }
  return options;
}

/** What each kind is called, and how it is told. */
const KINDS: Readonly<Record<Kind, { readonly name: string; is(value: unknown): boolean }>> = {
  number: { name: "a number", is: (value) => typeof value === "number" },
  boolean: { name: "true or false", is: (value) => typeof value === "boolean" },
  text: { name: "a text", is: (value) => typeof value === "string" },
  texts: {
    name: "a text or a list of texts",
    is: (value) =>
      typeof value === "string" || (Array.isArray(value) && value.every((each) => typeof each === "string")),
  },
};

function isMessage(value: unknown): value is ChatMessage {
  return isObject(value) && typeof value.role === "string" && typeof value.content === "string";
}
