/**
 * A running generation: tokens as an async iterator, at the pace of whoever reads them.
 *
 * @module
 */
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { Sampler, type SamplingOptions } from "../sampling/sampler.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type Decoder, PREFILL_ROWS, type StepResult } from "./decoder.ts";
import type { CrossPart } from "./cross_cache.ts";
import { StopMatcher } from "./stop.ts";
import { nextTask } from "./next_task.ts";

/** Options of one generation. */
export interface GenerateOptions extends SamplingOptions {
  /** The most tokens to generate. Default: 256, or what is left of the context. */
  maxTokens?: number;
  /** Text that ends the generation; it is not part of the result. */
  stop?: string | readonly string[];
  /** Goes on after a token that would end the text. Default: `false`. */
  ignoreEos?: boolean;
  /** Adds the log-probability of each token to its chunk. Default: `false`. */
  logprobs?: boolean;
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
}

/** Why a generation ended: a stop token or string, the token limit, or the caller. A full context is an error. */
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
  readonly decoder: Decoder;
  /** In encoder–decoders, what reads the prompt, and the tokens that the text then begins with. */
  readonly encoder?: {
    read(ids: readonly number[]): Promise<CrossPart>;
    readonly startIds: readonly number[];
  };
  /** Turns ids into text; asked for when the first text is needed. Without one, chunks have no text. */
  tokenizer(): Promise<Tokenizer | undefined>;
  /** Ids that end a text. */
  eosIds(tokenizer: Tokenizer | undefined): readonly number[];
  /** Told of work in flight, so that nothing is freed under it. */
  track<T>(work: Promise<T>): Promise<T>;
}

/** Default of `maxTokens`. */
const DEFAULT_MAX_TOKENS = 256;

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
  #stats?: GenerationStats;
  #text = "";

  /** Checks the options; the work starts with the first read. */
  constructor(source: GenerationSource, prompt: string | readonly number[], options: GenerateOptions = {}) {
    const { maxTokens } = options;
    if (maxTokens !== undefined && (!Number.isInteger(maxTokens) || maxTokens < 0)) {
      throw new InvalidArgumentError(`maxTokens must be a whole number of at least 0, not ${maxTokens}`);
    }
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
    if (this.#iterator) return;
    for await (const _ of this);
  }

  async #encode(tokenizer: Tokenizer | undefined): Promise<readonly number[]> {
    if (typeof this.#prompt !== "string") return this.#prompt;
    if (!tokenizer) {
      throw new InvalidArgumentError("the model has no tokenizer; give the prompt as token ids");
    }
    await tokenizer.prepare();
    return tokenizer.encode(this.#prompt, { parseSpecial: true });
  }

  async *#run(): AsyncGenerator<Chunk> {
    const { decoder, encoder } = this.#source;
    const { signal, ignoreEos } = this.#options;
    const tokenizer = await this.#source.tokenizer();
    const promptIds = await this.#encode(tokenizer);
    if (promptIds.length === 0) {
      throw new InvalidArgumentError("the prompt is empty; give at least one token");
    }
    if (promptIds.length > decoder.contextLength) {
      throw new SequenceLengthExceededError({ max: decoder.contextLength, actual: promptIds.length });
    }
    const startIds = encoder?.startIds ?? promptIds;
    // The last token is never fed back, so the context may be one token shorter than the whole text.
    const room = decoder.contextLength - startIds.length + 1;
    const maxTokens = this.#options.maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, room);
    const stop = this.#options.stop ?? [];
    const matcher = new StopMatcher(typeof stop === "string" ? [stop] : stop);
    const eosIds = new Set(ignoreEos ? [] : this.#source.eosIds(tokenizer));
    const stream = tokenizer?.stream({ continuation: encoder === undefined });
    const history = [...startIds];
    const ids: number[] = [];
    let finishReason: FinishReason = "abort";
    let firstAt = 0;
    const prefillStart = performance.now();
    let prefilled = encoder ? promptIds.length : 0;
    using cross = encoder && await this.#source.track(encoder.read(promptIds));
    using sequence = decoder.sequence(cross);
    try {
      let pending: readonly number[] = startIds;
      while (!signal?.aborted) {
        const chunk = pending.slice(0, PREFILL_ROWS);
        pending = pending.slice(chunk.length);
        const result = decoder.step(sequence, chunk);
        if (ids.length === 0) prefilled += chunk.length;
        if (pending.length > 0) {
          await nextTask();
          continue;
        }
        if (ids.length >= maxTokens) {
          finishReason = "length";
          break;
        }
        const { id, logprob } = await this.#choose(result, history);
        if (ids.length === 0) firstAt = performance.now();
        if (eosIds.has(id)) {
          finishReason = "stop";
          break;
        }
        ids.push(id);
        history.push(id);
        pending = [id];
        const last = ids.length === maxTokens;
        const shown = matcher.push(stream ? stream.push(id) : "");
        const tail = last && !shown.stopped ? this.#finish(matcher, stream) : { text: "", stopped: false };
        const text = shown.text + tail.text;
        this.#text += text;
        yield { text, id, ...(logprob === undefined ? {} : { logprob }) };
        if (shown.stopped || tail.stopped || last) {
          finishReason = shown.stopped || tail.stopped ? "stop" : "length";
          break;
        }
        await nextTask();
      }
      const rest = finishReason === "length" ? "" : this.#finish(matcher, stream).text;
      if (rest !== "" && ids.length > 0) {
        this.#text += rest;
        yield { text: rest, id: ids[ids.length - 1] };
      }
    } finally {
      this.#stats = makeStats(
        { promptIds, ids, finishReason, prefilled },
        this.#started,
        prefillStart,
        firstAt,
      );
    }
  }

  async #choose(result: StepResult, history: readonly number[]): Promise<{ id: number; logprob?: number }> {
    const sampler = this.#sampler;
    if (sampler.greedy && !this.#options.logprobs) return { id: await this.#source.track(result.argmax()) };
    const logits = await this.#source.track(result.logits());
    const logprob = this.#options.logprobs ? logSoftmax(logits) : undefined;
    const id = sampler.next(logits, history, history.length);
    return { id, logprob: logprob?.(id) };
  }

  #finish(
    matcher: StopMatcher,
    stream: ReturnType<Tokenizer["stream"]> | undefined,
  ): { text: string; stopped: boolean } {
    const { text, stopped } = matcher.push(stream?.flush() ?? "");
    return { text: text + matcher.flush(), stopped };
  }
}

function makeStats(
  known: {
    promptIds: readonly number[];
    ids: readonly number[];
    finishReason: FinishReason;
    prefilled: number;
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
    prefillTokensPerSecond: rate(known.prefilled, (firstAt || now) - prefillStart),
    decodeTokens,
    decodeTokensPerSecond: firstAt > 0 ? rate(decodeTokens, now - firstAt) : 0,
    timeToFirstToken: firstAt > 0 ? firstAt - started : 0,
  };
}

/** Log-probability by token. */
function logSoftmax(logits: Float32Array): (id: number) => number {
  let max = -Infinity;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const norm = max + Math.log(sum);
  const copy = logits.slice();
  return (id) => copy[id] - norm;
}
