/**
 * A conversation with a model, over its chat template.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import type { GenerateOptions, Generation, GenerationStats } from "../generate/generation.ts";
import type { ChatMessage } from "../tokenizer/chat_template.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { Answer } from "./answer.ts";
import { checkedMessages } from "./messages.ts";
import { promptIds, type Transcript, transcript } from "./prompt.ts";

/** Options of a conversation. Those of a generation are for all its answers. */
export interface ChatOptions extends GenerateOptions {
  /** Instructions that come before everything else. */
  system?: string;
  /** A history to go on from, after the instructions. Default: none. */
  messages?: readonly ChatMessage[];
  /** A Jinja template in place of the model's own. */
  template?: string;
}

/** What a conversation needs of its model. */
export interface ChatSource {
  /** Turns text into ids and back. */
  readonly tokenizer: Tokenizer;
  /** Writes a conversation as a prompt. */
  render(messages: readonly ChatMessage[]): Promise<string>;
  /** Goes on from a prompt. */
  generate(ids: readonly number[], options: GenerateOptions): Generation;
  /** Makes a session of a conversation. */
  save(state: ChatState): Promise<Uint8Array>;
}

/** All that there is to a conversation. */
export interface ChatState {
  /** What was said, and by whom. */
  readonly messages: readonly ChatMessage[];
  /** What the model has computed of it; nothing before the first answer. */
  readonly transcript?: Transcript;
}

/**
 * A conversation. What was computed for earlier turns is used again, so a turn costs what is new in it.
 *
 * ```ts
 * import { load } from "@llmforge/llmforge";
 * await using model = await load();
 * // Models made for conversation have a template of their own.
 * const chat = model.chat({ template: "{% for m in messages %}{{ m.content }} {% endfor %}", maxTokens: 8 });
 * for await (const chunk of chat.send("Once upon a time")) console.log(chunk.text);
 * console.log(chat.messages);
 * ```
 */
export class Chat {
  readonly #source: ChatSource;
  readonly #options: GenerateOptions;
  #messages: readonly ChatMessage[];
  #transcript?: Transcript;
  #answering = false;

  /** Made by `model.chat` and `model.restoreChat`. */
  constructor(source: ChatSource, options: GenerateOptions, { messages, transcript }: ChatState) {
    this.#source = source;
    this.#options = options;
    this.#messages = checkedMessages(messages);
    this.#transcript = transcript;
  }

  /** What was said, and by whom: plain data, a new list after every turn. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /**
   * Another history, from which the conversation goes on.
   *
   * @throws {InvalidArgumentError} where a message has an unknown role, or while an answer is read.
   */
  set messages(messages: readonly ChatMessage[]) {
    this.#checkIdle();
    this.#messages = checkedMessages(messages);
  }

  /**
   * Says something, and gives the answer to be read. Both are in the history once the answer has been read, as far as
   * it was: who stops it keeps what was said so far. Where nothing was said by then, the history stays as it was.
   */
  send(text: string, options: GenerateOptions = {}): Answer {
    const [said] = checkedMessages([{ role: "user", content: text }]);
    let prompt: Transcript | undefined;
    return new Answer({
      begin: async () => {
        this.#checkIdle();
        this.#answering = true;
        try {
          prompt = await this.#prompt([...this.#messages, said]);
          return this.#source.generate(prompt.ids, { ...this.#options, ...options });
        } catch (error) {
          this.#answering = false;
          throw error;
        }
      },
      end: (answer, stats) => {
        this.#answering = false;
        if (prompt && stats) this.#keep(said, prompt, answer, stats);
      },
    });
  }

  /** Takes the last turn back, and gives what was said then; nothing where there is none. */
  undo(): string | undefined {
    const last = this.#messages.findLastIndex(({ role }) => role === "user");
    if (last < 0) return undefined;
    const { content } = this.#messages[last];
    this.messages = this.#messages.slice(0, last);
    return content;
  }

  /**
   * The conversation as bytes, with all that was computed for it: `model.restoreChat` goes on from there at once.
   *
   * @throws {InvalidArgumentError} while an answer is read.
   */
  async save(): Promise<Uint8Array> {
    this.#checkIdle();
    return await this.#source.save({ messages: this.#messages, transcript: this.#transcript });
  }

  async #prompt(messages: readonly ChatMessage[]): Promise<Transcript> {
    const { tokenizer } = this.#source;
    await tokenizer.prepare();
    const text = await this.#source.render(messages);
    return { ids: promptIds(tokenizer, text, this.#transcript), text };
  }

  #keep(said: ChatMessage, prompt: Transcript, answer: string, { ids, finishReason }: GenerationStats): void {
    if (answer === "" && finishReason === "abort") return;
    this.#messages = [...this.#messages, said, { role: "assistant", content: answer }];
    // Without its answer, a prompt is still where the next one begins.
    this.#transcript = transcript(this.#source.tokenizer, prompt, { ids, text: answer }) ?? prompt;
  }

  #checkIdle(): void {
    if (!this.#answering) return;
    throw new InvalidArgumentError("an answer is still being read; read it to its end, or stop it, first");
  }
}
