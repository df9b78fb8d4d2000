/**
 * Generated tokens of one sequence, at the pace of whoever reads them.
 *
 * @module
 */
import { Logprobs, type TokenLogprob } from "../sampling/logprobs.ts";
import type { Sampler } from "../sampling/sampler.ts";
import type { ContextOptions } from "./context.ts";
import type { CrossPart } from "./cross_cache.ts";
import type { Engine } from "./engine.ts";
import { forcedAt, type ForcedTokens } from "./forced.ts";
import type { Membership, RowOutput, Task, Want } from "./task.ts";

/** Tokens that may lie ready for a reader who is late; the sequence takes part in no step then. */
export const MAX_READY = 4;

/** What is to be generated. */
export interface TokenRequest {
  /** Tokens to go on from. */
  readonly promptIds: readonly number[];
  /** What the encoder has read, in encoder–decoders; the stream takes it over. */
  readonly cross?: CrossPart;
  /** The most tokens to generate. */
  readonly maxTokens: number;
  /** Tokens that end the sequence; they are not given out. */
  readonly eosIds: ReadonlySet<number>;
  /** Chooses the tokens. */
  readonly sampler: Pick<Sampler, "greedy" | "next">;
  /** Whether each token comes with its log-probability; a number asks for that many of the likeliest too. */
  readonly logprobs: boolean | number;
  /** Tokens that are not chosen. Default: none. */
  readonly forced?: ForcedTokens;
  /** What happens when the context is full. Default: it fails. */
  readonly context?: ContextOptions;
  /** Ends the sequence. */
  readonly signal?: AbortSignal;
}

/** A generated token. */
export interface Token {
  /** Its id. */
  readonly id: number;
  /** Natural logarithm of its probability before any sampling option, where it was asked for. */
  readonly logprob?: number;
  /** The likeliest tokens, likeliest first, where a number of them was asked for. */
  readonly topLogprobs?: readonly TokenLogprob[];
}

/** Why there are no more tokens. */
export type StreamEnd = "stop" | "length" | "abort";

/** Streams that nobody holds any more are taken out of their engine. */
const abandoned = new FinalizationRegistry<TokenTask>((task) => task.stop("abort"));

/** Tokens of a sequence. Nothing is computed before `next` is called; dispose of it to end early. */
export class TokenStream {
  readonly #task: TokenTask;

  /** Enters an engine, which knows the task but not the stream: a stream that is forgotten can be told from others. */
  constructor(engine: Engine, request: TokenRequest) {
    this.#task = new TokenTask(request);
    try {
      this.#task.join(engine.add(this.#task));
    } catch (error) {
      this.#task.stop("abort");
      throw error;
    }
    abandoned.register(this, this.#task, this);
  }

  /** Why there are no more tokens, once that is so. */
  get end(): StreamEnd | undefined {
    return this.#task.end;
  }
  /** How many tokens of the prompt were computed. */
  get prefilled(): number {
    const { prefilled, membership } = this.#task;
    return prefilled ?? membership?.computed ?? 0;
  }
  /** How many tokens of the prompt were there already. */
  get reused(): number {
    return this.#task.membership?.reused ?? 0;
  }
  /** How many tokens were computed, those that lost their pages more than once. */
  get computed(): number {
    return this.#task.membership?.computed ?? 0;
  }
  /** When the first output came, by `performance.now`; 0 before. */
  get firstAt(): number {
    return this.#task.firstAt;
  }

  /** The next token; nothing after the last one. One call at a time. */
  next(): Promise<Token | undefined> {
    const token = this.#task.take();
    if (this.#task.wants === "now") this.#task.membership?.wake();
    return token;
  }

  /** Ends the sequence and frees its pages. */
  [Symbol.dispose](): void {
    abandoned.unregister(this);
    this.#task.stop("abort");
  }
}

class TokenTask implements Task {
  readonly tokens: number[];
  readonly needsLogits: boolean;
  readonly sharesPrefix: boolean;
  readonly cross?: CrossPart;
  readonly context?: ContextOptions;
  membership?: Membership;
  prefilled?: number;
  end?: StreamEnd;
  firstAt = 0;
  readonly #request: TokenRequest;
  readonly #ready: Token[] = [];
  readonly #onAbort = (): void => this.stop("abort");
  #waiting?: PromiseWithResolvers<Token | undefined>;
  #closed = false;
  #failure?: { readonly error: unknown };

  constructor(request: TokenRequest) {
    this.#request = request;
    this.tokens = [...request.promptIds];
    this.cross = request.cross;
    this.context = request.context;
    // What a decoder computes depends on what its encoder has read.
    this.sharesPrefix = request.cross === undefined;
    this.needsLogits = request.logprobs !== false || !request.sampler.greedy;
  }

  /** Told of its place in an engine. */
  join(membership: Membership): void {
    const { signal } = this.#request;
    this.membership = membership;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.stop("abort");
  }

  get wants(): Want {
    if (this.#waiting) return "now";
    return this.firstAt > 0 && this.#ready.length < MAX_READY ? "ahead" : "no";
  }
  get firstOutput(): number {
    return this.tokens.length - 1;
  }
  get stepsToGo(): number {
    if (this.needsLogits || this.#forced !== undefined) return 0;
    return Math.max(this.#request.maxTokens - this.#made - 1, 0);
  }

  /** The first token that lies ready, or the next to come. */
  take(): Promise<Token | undefined> {
    if (this.#request.signal?.aborted) this.stop("abort");
    const token = this.end === "abort" ? undefined : this.#ready.shift();
    if (token !== undefined) return Promise.resolve(token);
    if (this.#failure) return Promise.reject(this.#failure.error);
    if (this.end !== undefined) return Promise.resolve(undefined);
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  accept(output: RowOutput): void {
    const { eosIds, maxTokens } = this.#request;
    if (this.firstAt === 0) this.firstAt = performance.now();
    this.prefilled ??= this.membership?.computed;
    if (maxTokens === 0) return this.stop("length");
    const token = this.#choose(output);
    if (eosIds.has(token.id)) return this.stop("stop");
    this.tokens.push(token.id);
    this.#give(token);
    if (this.#made === maxTokens) this.stop("length");
  }

  /** No more tokens, for this reason. What lies ready can still be read, unless it was aborted. */
  stop(end: StreamEnd): void {
    const unread = this.end !== undefined && end === "abort" && this.#ready.length > 0;
    if ((this.end !== undefined && !unread) || this.#failure) return;
    this.end = end;
    this.#close();
    this.#waiting?.resolve(undefined);
    this.#waiting = undefined;
  }

  fail(error: unknown): void {
    if (this.end !== undefined || this.#failure) return;
    this.#failure = { error };
    this.#close();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  /** Tokens so far. */
  get #made(): number {
    return this.tokens.length - this.#request.promptIds.length;
  }
  /** The next token, where it is not chosen. */
  get #forced(): number | undefined {
    const { forced = {}, maxTokens } = this.#request;
    return forcedAt(forced, this.#made, maxTokens);
  }

  #choose(output: RowOutput): Token {
    const { sampler, logprobs } = this.#request;
    const only = this.#forced;
    if (only !== undefined) return { id: only, ...(logprobs === false ? {} : { logprob: 0 }) };
    if (typeof output === "number") return { id: output };
    // Before the sampler changes the row.
    const known = logprobs === false ? undefined : new Logprobs(output);
    const id = sampler.next(output, this.tokens, this.tokens.length);
    return { id, ...(logprobs === false ? {} : known?.chosen(id, logprobs)) };
  }

  #give(token: Token): void {
    if (!this.#waiting) return void this.#ready.push(token);
    this.#waiting.resolve(token);
    this.#waiting = undefined;
  }

  #close(): void {
    this.#request.signal?.removeEventListener("abort", this.#onAbort);
    this.membership?.leave();
    if (!this.#closed) this.cross?.[Symbol.dispose]();
    this.#closed = true;
  }
}
