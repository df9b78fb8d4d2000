/**
 * An answer in a conversation, as it comes.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import type { Chunk, Generation, GenerationStats } from "../generate/generation.ts";

/** What an answer tells its conversation. */
export interface AnswerEvents {
  /** The first read: makes the generation. */
  begin(): Promise<Generation>;
  /** There is no more to come, however that came about. */
  end(text: string, stats: GenerationStats | undefined): void;
}

/**
 * An answer, to be read like a `Generation`: iterate over it, or ask for the whole text. Nothing is computed, and
 * nothing is added to the history, before it is read. It can be read once.
 *
 * ```ts
 * import { load } from "@llmforge/llmforge";
 * await using model = await load();
 * const template = "{% for m in messages %}{{ m.content }} {% endfor %}";
 * const answer = model.chat({ template }).send("Once upon a time", { maxTokens: 8 });
 * for await (const chunk of answer) console.log(chunk.text);
 * ```
 */
export class Answer implements AsyncIterable<Chunk> {
  readonly #events: AnswerEvents;
  #iterator?: AsyncGenerator<Chunk>;
  #stats?: GenerationStats;
  #text = "";

  /** Made by `send`. */
  constructor(events: AnswerEvents) {
    this.#events = events;
  }

  /** Iterates over the chunks. */
  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    if (this.#iterator) throw new InvalidArgumentError("an answer can be read once; call send again");
    return this.#iterator = this.#run();
  }

  /** Reads to the end and gives the whole text. */
  async text(): Promise<string> {
    await this.#drain();
    return this.#text;
  }

  /** Reads to the end, where nobody else does, and gives the figures. */
  async stats(): Promise<GenerationStats> {
    await this.#drain();
    if (!this.#stats) {
      throw new InvalidArgumentError("stats are known when the answer has been read to its end");
    }
    return this.#stats;
  }

  async #drain(): Promise<void> {
    if (this.#iterator) return;
    for await (const _ of this);
  }

  async *#run(): AsyncGenerator<Chunk> {
    const generation = await this.#events.begin();
    try {
      for await (const chunk of generation) {
        this.#text += chunk.text;
        yield chunk;
      }
    } finally {
      this.#stats = await generation.stats().catch(() => undefined);
      this.#events.end(this.#text, this.#stats);
    }
  }
}
