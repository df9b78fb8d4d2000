/**
 * A loaded model: generates text, scores it, and knows its tokenizer and configuration.
 *
 * @module
 */
import type { Backend, BackendName, DeviceInfo, WeightHandle } from "./backends/backend.ts";
import type { BackendReport } from "./backends/select.ts";
import { InvalidArgumentError, TokenizerError } from "./errors.ts";
import { Chat, type ChatOptions, type ChatSource } from "./chat/chat.ts";
import { chatSource } from "./chat/source.ts";
import type { SessionModel } from "./chat/session.ts";
import type { CrossCache, CrossPart } from "./generate/cross_cache.ts";
import type { Decoder } from "./generate/decoder.ts";
import type { EmbedInput, EmbedOptions, RankedDocument } from "./generate/embed.ts";
import type { Encoder } from "./generate/encoder.ts";
import type { ForcedTokens } from "./generate/forced.ts";
import { Engine, type EngineUsage } from "./generate/engine.ts";
import { generateAll, type GenerationResult } from "./generate/generate_all.ts";
import { type GenerateOptions, Generation, type GenerationSource } from "./generate/generation.ts";
import { perplexity, type Score } from "./generate/perplexity.ts";
import { computeLogits } from "./generate/scoring.ts";
import type { BeamSearchOptions, BestOfNOptions, SearchResult, SearchSource } from "./generate/search.ts";
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
  /** Runs the steps; absent in encoders. */
  readonly decoder?: Decoder;
  /** Reads whole texts. */
  readonly encoder: Encoder;
  /** What the encoder of an encoder–decoder leaves for the decoder. */
  readonly cross?: CrossCache;
  /** Longest sequence, in tokens. */
  readonly contextLength: number;
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
  /** Tokens that they force upon texts. */
  readonly forced?: ForcedTokens;
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
  readonly #decoding?: Engine;
  readonly #running = new Set<Promise<unknown>>();
  #closing?: Promise<void>;

  /** Made by `load`. */
  constructor(parts: ModelParts) {
    this.#parts = parts;
    if (parts.decoder) this.#decoding = new Engine(parts.decoder, parts);
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
    return this.#parts.contextLength;
  }
  /** The most sequences of one step; generations beyond that wait for their turn. */
  get maxSequences(): number {
    return this.#parts.decoder?.capacity.sequences ?? 1;
  }
  /** What it has to do: generations that are computed, wait or rest, and the pages of the cache. */
  get usage(): EngineUsage {
    return this.#decoding?.usage ??
      { busy: 0, idle: 0, pages: 0, heldPages: 0, keptPages: 0 };
  }
  /** The backend it runs on, and what became of the others. */
  get backend(): { name: BackendName; device: DeviceInfo; report: readonly BackendReport[] } {
    const { backend, report } = this.#parts;
    return { name: backend.name, device: backend.device, report };
  }
  /** Bytes of weights, KV cache and temporaries. */
  get memory(): { weights: number; kv: number; arena: number } {
    const { weights, decoder, encoder, cross } = this.#parts;
    const bytes = [...weights.values()].reduce((sum, handle) => sum + handle.bytes, 0);
    const kv = (decoder?.cacheBytes ?? 0) + (cross?.bytes ?? 0);
    return { weights: bytes, kv, arena: (decoder?.arenaBytes ?? 0) + encoder.arenaBytes };
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
   * An encoder–decoder reads the prompt and writes about it.
   *
   * Generations that are read at the same time are computed together, each as if it were alone.
   */
  generate(prompt: string | readonly number[], options: GenerateOptions = {}): Generation {
    this.#checkOpen();
    return new Generation(this.#source, prompt, this.#sampling(options));
  }

  /**
   * The likeliest continuations of a prompt as a whole, best first, by beam search: `num_beams`, `length_penalty` and
   * `early_stopping` of transformers, with its sequences and scores. All beams are rows of the same steps, beside
   * whatever else runs, and share the pages of what they have in common.
   *
   * ```ts
   * import { load } from "@llmforge/llmforge";
   * await using model = await load();
   * const { text, beams } = await model.beamSearch("Once upon a time", { beams: 3, maxTokens: 8 });
   * console.log(text, beams.map(({ score, text }) => ({ score, text })));
   * ```
   */
  async beamSearch(
    prompt: string | readonly number[],
    options: BeamSearchOptions = {},
  ): Promise<SearchResult> {
    this.#checkOpen();
    const { searchBeams } = await import("./generate/search.ts");
    return await this.#track(searchBeams(this.#searchSource, prompt, options));
  }

  /**
   * Draws several continuations of a prompt at once and ranks them by how likely the model finds them, best first. What
   * the options leave open is as in `generate`; without a temperature all are the same.
   *
   * ```ts
   * import { load } from "@llmforge/llmforge";
   * await using model = await load();
   * const { text, beams } = await model.bestOf("Once upon a time", { count: 3, maxTokens: 8, temperature: 1 });
   * console.log(text, beams.map(({ score }) => score));
   * ```
   */
  async bestOf(prompt: string | readonly number[], options: BestOfNOptions = {}): Promise<SearchResult> {
    this.#checkOpen();
    const { searchBestOf } = await import("./generate/search.ts");
    return await this.#track(searchBestOf(this.#searchSource, prompt, this.#sampling(options)));
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

  /**
   * Begins a conversation, over the model's own chat template or one that is given. What was computed for a turn is used
   * again in the next.
   *
   * ```ts
   * import { load } from "@llmforge/llmforge";
   * await using model = await load();
   * const chat = model.chat({ template: "{% for m in messages %}{{ m.content }} {% endfor %}", maxTokens: 8 });
   * for await (const chunk of chat.send("Once upon a time")) console.log(chunk.text);
   * ```
   *
   * @throws {TokenizerError} where the model has no template and none is given.
   */
  chat({ system, messages = [], template, ...options }: ChatOptions = {}): Chat {
    const opening = system === undefined ? [] : [{ role: "system", content: system }];
    return new Chat(this.#chatSource(template), options, { messages: [...opening, ...messages] });
  }

  /**
   * Goes on with a conversation that `chat.save` has made bytes of, without computing it again. Options are given anew.
   *
   * ```ts
   * import { load } from "@llmforge/llmforge";
   * await using model = await load();
   * const options = { template: "{% for m in messages %}{{ m.content }} {% endfor %}", maxTokens: 8 };
   * const chat = model.chat(options);
   * await chat.send("Once upon a time").text();
   * const again = await model.restoreChat(await chat.save(), options);
   * console.log(await again.send("Then").text());
   * ```
   *
   * @throws {InvalidFileError} where the bytes are damaged.
   * @throws {SessionMismatchError} where they were saved with another model, quantization, backend or type of KV cache.
   */
  async restoreChat(
    session: Uint8Array,
    { template, ...options }: Omit<ChatOptions, "system" | "messages"> = {},
  ): Promise<Chat> {
    this.#checkOpen();
    const source = this.#chatSource(template);
    const { restoreSession } = await import("./chat/session.ts");
    return new Chat(source, options, await this.#track(restoreSession(this.#sessionModel, session)));
  }

  /**
   * A vector for each text, which may be given as token ids too. With the pooling `none` it is the vectors of all its
   * tokens, one after another. A decoder's are its final hidden states.
   *
   * ```ts
   * import { load } from "@llmforge/llmforge";
   * await using model = await load();
   * const [cat, dog] = await model.embed(["A cat slept.", "A dog slept."]);
   * console.log("cosine", cat.reduce((sum, x, i) => sum + x * dog[i], 0));
   * ```
   *
   * @throws {SequenceLengthExceededError} where a text is longer than the context.
   */
  async embed(inputs: readonly EmbedInput[], options: EmbedOptions = {}): Promise<Float32Array[]> {
    this.#checkOpen();
    const { embed } = await import("./generate/embed.ts");
    return await this.#track(embed(this.#parts, inputs, options));
  }

  /**
   * Documents by how well they answer a query, best first; for models with a classification head of one label.
   *
   * @throws {InvalidArgumentError} where the model has no such head.
   */
  async rerank(
    query: string,
    documents: readonly string[],
    options: { signal?: AbortSignal } = {},
  ): Promise<RankedDocument[]> {
    this.#checkOpen();
    const { rerank } = await import("./generate/embed.ts");
    return await this.#track(rerank(this.#parts, query, documents, options));
  }

  /**
   * Logits after the last of `ids`, [vocabulary]. An encoder–decoder's encoder reads `ids`, and the logits are those
   * after the last of `decoderIds`, by default the token that its texts begin with.
   *
   * @throws where the signal is aborted: its reason.
   */
  async logits(
    ids: readonly number[],
    decoderIds?: readonly number[],
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    this.#checkOpen();
    signal?.throwIfAborted();
    const both = this.#parts.config.kind === "encoder-decoder";
    if (decoderIds && !both) {
      throw new InvalidArgumentError("ids for a decoder beside an encoder need a model that has both");
    }
    const engine = this.#engine;
    using cross: CrossPart | undefined = both ? await this.#read(ids, signal) : undefined;
    const tokens = both ? decoderIds ?? this.#startIds : ids;
    if (tokens.length === 0) throw new InvalidArgumentError("logits need at least one token");
    let last = new Float32Array();
    await computeLogits(engine, { tokens, rows: "last", cross, look: (row) => last = row.slice(), signal });
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
    const engine = this.#engine;
    if (this.#parts.config.kind === "encoder-decoder") {
      throw new InvalidArgumentError("perplexity is measured on decoders, and the model has an encoder too");
    }
    return await perplexity(engine, ids, window, signal);
  }

  /** Ends what runs and frees everything. Closing again waits for the same. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.#decoding?.close();
    await Promise.allSettled(this.#running);
    const { decoder, encoder, cross, backend, weights } = this.#parts;
    decoder?.[Symbol.dispose]();
    encoder[Symbol.dispose]();
    cross?.[Symbol.dispose]();
    for (const handle of weights.values()) backend.freeWeight(handle);
    backend[Symbol.dispose]();
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #engine(): Engine {
    if (!this.#decoding) {
      throw new InvalidArgumentError(`${this.name} is an encoder and writes no text; use embed or rerank`);
    }
    return this.#decoding;
  }

  #chatSource(template: string | undefined): ChatSource {
    this.#checkOpen();
    return chatSource(this, template, async (state) => {
      this.#checkOpen();
      const { saveSession } = await import("./chat/session.ts");
      return await this.#track(saveSession(this.#sessionModel, state));
    });
  }

  get #sessionModel(): SessionModel {
    const { decoder, config, weights, backend } = this.#parts;
    const engine = this.#engine;
    if (!decoder) throw new InvalidArgumentError(`${this.name} writes no text and has no sessions`);
    return { engine, decoder, config, weights, backend: backend.name };
  }

  /** What a generation needs. */
  get #source(): GenerationSource {
    const { tokenizer, config } = this.#parts;
    return {
      engine: this.#engine,
      ...(config.kind === "encoder-decoder"
        ? {
          encoder: {
            read: (ids, signal) => this.#read(ids, signal),
            startIds: this.#startIds,
            forced: this.#parts.forced,
          },
        }
        : {}),
      tokenizer: () => Promise.resolve(tokenizer),
      eosIds: (loaded) => [...new Set([...config.eosIds, ...(loaded?.eosIds ?? [])])],
    };
  }

  get #searchSource(): SearchSource {
    return { ...this.#source, maxSequences: this.maxSequences };
  }

  /** Options, with what the model's own files recommend where they leave something open. */
  #sampling<T extends SamplingOptions>(options: T): T {
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    return withBreakerIds({ ...this.#parts.defaults, ...given }, this.#parts.tokenizer) as T;
  }

  /** What an encoder–decoder's texts begin with. */
  get #startIds(): readonly number[] {
    const { decoderStartId } = this.#parts.config;
    return decoderStartId === undefined ? [] : [decoderStartId];
  }

  /** Has the encoder of an encoder–decoder read a text. */
  async #read(ids: readonly number[], signal?: AbortSignal): Promise<CrossPart> {
    return await this.#track(this.#parts.encoder.encode({ ids }, signal));
  }

  async #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  #checkOpen(): void {
    if (this.#closing) throw new InvalidArgumentError("the model is closed; load it again");
  }
}
