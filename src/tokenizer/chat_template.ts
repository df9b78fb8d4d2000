/**
 * Chat templates: a conversation to a prompt, with the Jinja template that comes with the model. `@huggingface/jinja`
 * is imported when the first template is rendered.
 *
 * @module
 */

import { LLMForgeError, TokenizerError } from "../errors.ts";
import { importPackage } from "../import_package.ts";
import { strftime } from "./strftime.ts";

/** One message of a conversation. */
export interface ChatMessage {
  /** Who speaks: `"system"`, `"user"`, `"assistant"`, or what else the template knows. */
  readonly role: string;
  /** What is said. */
  readonly content: string;
}

/** Options of a rendering. */
export interface ChatTemplateOptions {
  /** End with the opening of the assistant's turn, so that the model answers. Default: `true`. */
  addGenerationPrompt?: boolean;
}

/**
 * The template in a `tokenizer_config.json`, where it is a string or a list of `{ name, template }`; of a list the one
 * called `default`, else the first.
 */
export function selectChatTemplate(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every(isNamedTemplate)) {
    return (value.find((entry) => entry.name === "default") ?? value.at(0))?.template;
  }
  throw new TokenizerError(
    "chat_template must be a string or a list of { name, template }; correct the file",
  );
}

function isNamedTemplate(value: unknown): value is { name: string; template: string } {
  if (typeof value !== "object" || value === null) return false;
  const { name, template } = value as { name?: unknown; template?: unknown };
  return typeof name === "string" && typeof template === "string";
}

/** Renders with the variables given. */
type Render = (variables: Readonly<Record<string, unknown>>) => string;

/** A chat template; it is compiled at its first rendering. */
export class ChatTemplate {
  /** The template's text. */
  readonly source: string;
  #compiled?: Promise<Render>;

  /** Takes the text; nothing is compiled yet. */
  constructor(source: string) {
    this.source = source;
  }

  /** Renders messages; `variables` are what templates ask for by name, such as `bos_token`. */
  async render(
    messages: readonly ChatMessage[],
    variables: Readonly<Record<string, unknown>> = {},
    { addGenerationPrompt = true }: ChatTemplateOptions = {},
  ): Promise<string> {
    try {
      const render = await (this.#compiled ??= compile(this.source).catch((cause) => {
        // Perhaps a package that could not be fetched this time.
        this.#compiled = undefined;
        throw cause;
      }));
      return render({ ...GLOBALS, ...variables, messages, add_generation_prompt: addGenerationPrompt });
    } catch (cause) {
      if (cause instanceof LLMForgeError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TokenizerError(
        `the chat template cannot be rendered: ${reason}; give the model a plain prompt`,
        {
          cause,
        },
      );
    }
  }
}

async function compile(source: string): Promise<Render> {
  const { Environment, Interpreter, Template } = await importPackage(
    "@huggingface/jinja",
    () => import("@huggingface/jinja"),
  );
  const { parsed } = new Template(source);
  // Not the template's own `render`: its globals cannot be replaced, and its dates speak the machine's language.
  return (variables) => {
    const environment = new Environment();
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return String(new Interpreter(environment).run(parsed).value);
  };
}

const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  raise_exception: reject,
  strftime_now: (format: string) => strftime(new Date(), format),
};

/** Python's `range`. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
}

function reject(reason: unknown): never {
  throw new TokenizerError(`the chat template rejects the messages: ${reason}; change them as it says`);
}
