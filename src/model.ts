/**
 * A loaded model: generates text, scores it, and knows its tokenizer and configuration.
 *
 * @module
 */
import type { Backend, BackendName, DeviceInfo, WeightHandle } from "./backends/backend.ts";
import type { BackendReport } from "./backends/select.ts";
import { InvalidArgumentError, TokenizerError } from "./errors.ts";
import type { Decoder } from "./generate/decoder.ts";
import { Engine, type EngineUsage } from "./generate/engine.ts";
import { generateAll, type GenerationResult } from "./generate/generate_all.ts";
import { type GenerateOptions, Generation } from "./generate/generation.ts";
import { computeLogits } from "./generate/scoring.ts";
import type { DecoderConfig } from "./models/config.ts";
import type { SamplingOptions } from "./sampling/sampler.ts";
import { withBreakerIds } from "./sampling/sequence_breakers.ts";
import type { ChatMessage } from "./tokenizer/chat_template.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** What a `Model` is made of. */
export interface ModelParts {
  /** Name for people. */
  readonly name: string;
  /** Where it runs. */
  readonly backend: Backend;
  /** How the backend was chosen. */
  readonly report: readonly BackendReport[];
  /** Runs the steps. */
  readonly decoder: Decoder;
  /** Generations that may wait, beside those of one step. */
  readonly maxQueue: number;
  /** Pages that may be kept for generations that begin alike. */
  readonly prefixPages: number;
  /** Configuration. */
  readonly config: DecoderConfig;
  /** Uploaded weights. */
  readonly weights: ReadonlyMap<string, WeightHandle>;
  /** Tokenizer; absent where the file has none. */
  readonly tokenizer?: Tokenizer;
  /** Sampling that the model's own files recommend. */
  readonly defaults: SamplingOptions;
}

/** Perplexity of a text. */
export interface Score {
  /** e to the power of `nll`. */
  readonly perplexity: number;
  /** Mean of -ln p over the tokens that were predicted. */
  readonly nll: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

/**
 * A model that is ready to run. `load` makes one; dispose of it with `await using` or `close()`.
 *
 * ```ts
 * import { load } from "@llmforge/llmforge";
 * await using model = await load();
 * console.log(await model.generate("Once upon a time", { maxTokens: 8, temperature: 0 }).text());
 * ```
 */
export class Model {
  readonly #parts: ModelParts;
  readonly #engine: Engine;
  #closed = false;

  /** Made by `load`. */
  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.#engine = new Engine(parts.decoder, parts);
  }

  /** Name for people: that of the file, or what the file calls itself. */
  get name(): string {
    return this.#parts.name;
  }
  /** Sizes and constants of the model. */
  get config(): DecoderConfig {
    return this.#parts.config;
  }
  /** Longest sequence this instance holds, in tokens. */
  get contextLength(): number {
    return this.#parts.decoder.contextLength;
  }
  /** The most sequences of one step; generations beyond that wait for their turn. */
  get maxSequences(): number {
    return this.#parts.decoder.capacity.sequences;
  }
  /** What it has to do: generations that are computed, wait or rest, and the pages of the cache. */
  get usage(): EngineUsage {
    return this.#engine.usage;
  }
  /** The backend it runs on, and what became of the others. */
  get backend(): { name: BackendName; device: DeviceInfo; report: readonly BackendReport[] } {
    const { backend, report } = this.#parts;
    return { name: backend.name, device: backend.device, report };
  }
  /** Bytes of weights, KV cache and temporaries. */
  get memory(): { weights: number; kv: number; arena: number } {
    const { weights, decoder } = this.#parts;
    const bytes = [...weights.values()].reduce((sum, handle) => sum + handle.bytes, 0);
    return { weights: bytes, kv: decoder.cacheBytes, arena: decoder.arenaBytes };
  }
  /** Whether the model's files have a tokenizer. */
  get hasTokenizer(): boolean {
    return this.#parts.tokenizer !== undefined;
  }
  /**
   * The tokenizer.
   *
   * @throws {TokenizerError} where the model's files have none.
   */
  get tokenizer(): Tokenizer {
    const { tokenizer, name } = this.#parts;
    if (!tokenizer) throw new TokenizerError(`${name} has no tokenizer; work with token ids instead`);
    return tokenizer;
  }

  /**
   * Continues a prompt: text, or token ids. Special tokens written in the text count as such.
   * What the options leave open is as the model's own files recommend, and greedy where they say nothing.
   *
   * Generations that are read at the same time are computed together, each as if it were alone.
   */
  generate(prompt: string | readonly number[], options: GenerateOptions = {}): Generation {
    this.#checkOpen();
    const { defaults, tokenizer, config } = this.#parts;
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    return new Generation(
      {
        engine: this.#engine,
        tokenizer: () => Promise.resolve(tokenizer),
        eosIds: (loaded) => [...new Set([...config.eosIds, ...(loaded?.eosIds ?? [])])],
      },
      prompt,
      withBreakerIds({ ...defaults, ...given }, tokenizer),
    );
  }

  /**
   * Continues many prompts at once, however many there are, and gives the results in their order. Each is what
   * `generate` gives for the prompt and these options. Where one fails, the others are ended.
   *
   * ```ts
   * import { load } from "@llmforge/llmforge";
   * await using model = await load();
   * const stories = await model.generateAll(["Once upon a time", "The little dog"], { maxTokens: 8, temperature: 0 });
   * console.log(stories.map(({ text }) => text));
   * ```
   */
  async generateAll(
    prompts: readonly (string | readonly number[])[],
    options: GenerateOptions = {},
  ): Promise<GenerationResult[]> {
    return await generateAll(
      (prompt, more) => this.generate(prompt, more),
      prompts,
      options,
      this.maxSequences,
    );
  }

  /** The prompt of a conversation, as the model's chat template writes it. */
  async applyChatTemplate(messages: readonly ChatMessage[]): Promise<string> {
    return await this.tokenizer.applyChatTemplate(messages);
  }

  /** Logits after the last of `ids`, [vocabulary]. */
  async logits(ids: readonly number[]): Promise<Float32Array> {
    this.#checkOpen();
    if (ids.length === 0) throw new InvalidArgumentError("logits need at least one token");
    let last = new Float32Array();
    await computeLogits(this.#engine, ids, "last", (logits) => last = logits.slice());
    return last;
  }

  /**
   * Perplexity of a text given as tokens: windows of `window` tokens without overlap, every token after a window's
   * first is predicted from those before it.
   */
  async score(
    ids: readonly number[],
    window: number = this.contextLength,
    signal?: AbortSignal,
  ): Promise<Score> {
    this.#checkOpen();
    if (!(window >= 2) || window > this.contextLength) {
      throw new InvalidArgumentError(`the window must be 2 to ${this.contextLength} tokens, not ${window}`);
    }
    let [sum, tokens] = [0, 0];
    for (let start = 0; start + 1 < ids.length; start += window) {
      const part = ids.slice(start, start + window);
      const add = (logits: Float32Array, row: number): void => {
        sum -= logProbability(logits, part[row + 1]);
        tokens++;
      };
      await computeLogits(this.#engine, part.slice(0, -1), "every", add, signal);
    }
    if (tokens === 0) throw new InvalidArgumentError("a text of at least two tokens is needed");
    const nll = sum / tokens;
    return { perplexity: Math.exp(nll), nll, tokens };
  }

  /** Ends what runs and frees everything. Closing again does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#engine.close();
    const { decoder, backend, weights } = this.#parts;
    decoder[Symbol.dispose]();
    for (const handle of weights.values()) backend.freeWeight(handle);
    backend[Symbol.dispose]();
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new InvalidArgumentError("the model is closed; load it again");
  }
}

/** ln p of a token under a row of logits. */
function logProbability(logits: Float32Array, id: number): number {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > max) max = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return logits[id] - max - Math.log(sum);
}
