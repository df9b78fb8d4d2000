/**
 * A running generation: tokens as an async iterator, at the pace of whoever reads them.
 *
 * @module
 */
import { checkWhole } from "../check.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { TokenLogprob } from "../sampling/logprobs.ts";
import { Sampler, type SamplingOptions } from "../sampling/sampler.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type ContextOptions, outlivesContext } from "./context.ts";
import type { CrossPart } from "./cross_cache.ts";
import type { Engine } from "./engine.ts";
import type { ForcedTokens } from "./forced.ts";
import { checkContextOptions } from "./make_room.ts";
import { encodePrompt } from "./prompt.ts";
import { StopMatcher } from "./stop.ts";
import { TokenStream } from "./token_stream.ts";

/** Options of one generation. */
export interface GenerateOptions extends SamplingOptions, ContextOptions {
  /** The most tokens to generate. Default: 256, or what is left of the context where that is less and `contextFull` is `"error"`. */
  maxTokens?: number;
  /** Text that ends the generation; it is not part of the result. */
  stop?: string | readonly string[];
  /** Goes on after a token that would end the text. Default: `false`. */
  ignoreEos?: boolean;
  /** Adds the log-probability of each token to its chunk; a number adds those of that many likeliest tokens. Default: `false`. */
  logprobs?: boolean | number;
  /** Ends the generation early; what was generated stays, and `finishReason` is `"abort"`. */
  signal?: AbortSignal;
}

/** One generated token. */
export interface Chunk {
  /** Text that is complete with this token: whole characters, maybe none. */
  readonly text: string;
  /** The token; the last one again where text that was held back comes after it. */
  readonly id: number;
  /** Natural logarithm of the token's probability before any sampling option; with `logprobs` only. */
  readonly logprob?: number;
  /** The tokens that were likeliest in its place, likeliest first; with `logprobs` as a number only. */
  readonly topLogprobs?: readonly TokenLogprob[];
}

/**
 * Why a generation ended: a stop token or string, the token limit, or the caller. A full context is an error, where
 * `contextFull` does not say otherwise.
 */
export type FinishReason = "stop" | "length" | "abort";

/** What is known of a generation when it has ended. */
export interface GenerationStats {
  /** Tokens of the prompt. */
  readonly promptIds: readonly number[];
  /** Generated tokens, without the one that ended the text. */
  readonly ids: readonly number[];
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** Prompt tokens processed. */
  readonly prefillTokens: number;
  /** Prompt tokens that did not have to be, because an earlier generation began with the same. */
  readonly reusedTokens: number;
  /** Prompt tokens a second. */
  readonly prefillTokensPerSecond: number;
  /** Tokens generated after the first. */
  readonly decodeTokens: number;
  /** Tokens a second after the first. */
  readonly decodeTokensPerSecond: number;
  /** Milliseconds from the call to the first token. */
  readonly timeToFirstToken: number;
}

/** What a generation needs of its model. */
export interface GenerationSource {
  /** Runs the steps. */
  readonly engine: Engine;
  /** In encoder–decoders, what reads the prompt, and the tokens that the text then begins with. */
  readonly encoder?: {
    read(ids: readonly number[], signal?: AbortSignal): Promise<CrossPart>;
    readonly startIds: readonly number[];
    readonly forced?: ForcedTokens;
  };
  /** Turns ids into text; asked for when the first text is needed. Without one, chunks have no text. */
  tokenizer(): Promise<Tokenizer | undefined>;
  /** Ids that end a text. */
  eosIds(tokenizer: Tokenizer | undefined): readonly number[];
}

/** Default of `maxTokens`. */
export const DEFAULT_MAX_TOKENS = 256;

/**
 * A generation. Iterate over it for chunks as they come, or ask for the whole text. Nothing is computed before it is
 * asked for, and a slow reader slows it down. It can be read once.
 *
 * ```ts
 * import { load } from "@llmforge/llmforge";
 * await using model = await load();
 * for await (const chunk of model.generate("Once upon a time", { maxTokens: 4 })) console.log(chunk.text);
 * ```
 */
export class Generation implements AsyncIterable<Chunk> {
  readonly #source: GenerationSource;
  readonly #prompt: string | readonly number[];
  readonly #options: GenerateOptions;
  readonly #sampler: Sampler;
  readonly #started = performance.now();
  #iterator?: AsyncGenerator<Chunk>;
  /** Reading to the end by `text` or `stats`, where nobody else reads. */
  #draining?: Promise<void>;
  #stats?: GenerationStats;
  #text = "";

  /** Checks the options; the work starts with the first read. */
  constructor(source: GenerationSource, prompt: string | readonly number[], options: GenerateOptions = {}) {
    const { maxTokens, logprobs } = options;
    if (maxTokens !== undefined) checkWhole("maxTokens", maxTokens, 0);
    if (typeof logprobs === "number") checkWhole("logprobs", logprobs, 0);
    checkContextOptions(source.engine.runner, options);
    this.#source = source;
    this.#prompt = prompt;
    this.#options = options;
    this.#sampler = new Sampler(options);
  }

  /** Iterates over the chunks. */
  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    if (this.#iterator) throw new InvalidArgumentError("a generation can be read once; call generate again");
    this.#iterator = this.#run();
    return this.#iterator;
  }

  /** Reads to the end and gives the whole text. */
  async text(): Promise<string> {
    await this.#drain();
    return this.#text;
  }

  /** The text as a stream of UTF-8 strings; cancelling it ends the generation. */
  toReadableStream(): ReadableStream<string> {
    const iterator = this[Symbol.asyncIterator]();
    return new ReadableStream<string>({
      async pull(controller) {
        for (;;) {
          const { done, value } = await iterator.next();
          if (done) return controller.close();
          if (value.text !== "") return controller.enqueue(value.text);
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    }, { highWaterMark: 0 });
  }

  /** Reads to the end, where nobody else does, and gives the figures. */
  async stats(): Promise<GenerationStats> {
    await this.#drain();
    if (!this.#stats) {
      throw new InvalidArgumentError("stats are known when the generation has been read to its end");
    }
    return this.#stats;
  }

  async #drain(): Promise<void> {
    if (!this.#iterator) this.#draining = this.#readAll();
    await this.#draining;
  }

  async #readAll(): Promise<void> {
    for await (const _ of this);
  }

  /** Has the encoder read the prompt, where there is one; nothing where that was aborted. */
  async #read(promptIds: readonly number[]): Promise<CrossPart | undefined> {
    const { signal } = this.#options;
    if (signal?.aborted) return undefined;
    try {
      return await this.#source.encoder?.read(promptIds, signal);
    } catch (error) {
      if (signal?.aborted) return undefined;
      throw error;
    }
  }

  async *#run(): AsyncGenerator<Chunk> {
    const { engine, encoder } = this.#source;
    const { signal, ignoreEos, logprobs = false } = this.#options;
    const tokenizer = await this.#source.tokenizer();
    const promptIds = await encodePrompt(this.#prompt, tokenizer);
    const startIds = encoder?.startIds ?? promptIds;
    // The last token is never fed back, so the context may be one token shorter than the whole text.
    const outlives = outlivesContext(this.#options);
    const room = outlives ? Infinity : Math.max(engine.runner.contextLength - startIds.length + 1, 0);
    const maxTokens = this.#options.maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, room);
    const stop = this.#options.stop ?? [];
    const matcher = new StopMatcher(typeof stop === "string" ? [stop] : stop);
    const eosIds = new Set(ignoreEos ? [] : this.#source.eosIds(tokenizer));
    const decoder = tokenizer?.stream({ continuation: encoder === undefined });
    const ids: number[] = [];
    let finishReason: FinishReason = "abort";
    if (outlives) await engine.runner.context?.prepare();
    const prefillStart = performance.now();
    const cross = await this.#read(promptIds);
    using stream = new TokenStream(engine, {
      promptIds: startIds,
      cross,
      maxTokens,
      eosIds,
      sampler: this.#sampler,
      logprobs,
      forced: ignoreEos ? { first: encoder?.forced?.first } : encoder?.forced,
      context: this.#options,
      signal,
    });
    try {
      for (;;) {
        const token = await stream.next();
        if (token === undefined) {
          finishReason = stream.end ?? "abort";
          break;
        }
        const { id } = token;
        ids.push(id);
        const last = ids.length === maxTokens;
        const shown = matcher.push(decoder ? decoder.push(id) : "");
        const tail = last && !shown.stopped ? this.#finish(matcher, decoder) : { text: "", stopped: false };
        const text = shown.text + tail.text;
        this.#text += text;
        yield { text, ...token };
        if (shown.stopped || tail.stopped || last) {
          finishReason = shown.stopped || tail.stopped ? "stop" : "length";
          break;
        }
      }
      const rest = finishReason === "length" ? "" : this.#finish(matcher, decoder).text;
      if (rest !== "" && ids.length > 0) {
        this.#text += rest;
        yield { text: rest, id: ids[ids.length - 1] };
      }
    } finally {
      this.#stats = makeStats(
        {
          promptIds,
          ids,
          finishReason,
          prefilled: stream.prefilled + (cross ? promptIds.length : 0),
          reused: stream.reused,
        },
        this.#started,
        prefillStart,
        stream.firstAt,
      );
    }
  }

  #finish(
    matcher: StopMatcher,
    stream: ReturnType<Tokenizer["stream"]> | undefined,
  ): { text: string; stopped: boolean } {
    const { text, stopped } = matcher.push(stream?.flush() ?? "");
    return { text: text + matcher.flush(), stopped };
  }
}

/** The figures of a generation, by when it was asked for, its prompt was begun, and its first output came. */
export function makeStats(
  known: {
    promptIds: readonly number[];
    ids: readonly number[];
    finishReason: FinishReason;
    prefilled: number;
    reused: number;
  },
  started: number,
  prefillStart: number,
  firstAt: number,
): GenerationStats {
  const now = performance.now();
  const rate = (count: number, milliseconds: number): number =>
    milliseconds > 0 ? count / milliseconds * 1000 : 0;
  const decodeTokens = Math.max(known.ids.length - 1, 0);
  return {
    promptIds: known.promptIds,
    ids: known.ids,
    finishReason: known.finishReason,
    prefillTokens: known.prefilled,
    reusedTokens: known.reused,
    prefillTokensPerSecond: rate(known.prefilled, (firstAt || now) - prefillStart),
    decodeTokens,
    decodeTokensPerSecond: firstAt > 0 ? rate(decodeTokens, now - firstAt) : 0,
    timeToFirstToken: firstAt > 0 ? firstAt - started : 0,
  };
}
