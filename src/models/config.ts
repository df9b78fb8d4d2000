/**
 * The configuration of a decoder, read from a Hugging Face `config.json` or from GGUF metadata and checked.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";
import type { RopeConfig } from "../nn/rope.ts";
import type { Activation } from "../program/ops.ts";

/** Sizes and constants of a decoder-only model. */
export interface DecoderConfig {
  /** Architecture as the project names it, such as `llama`. */
  readonly architecture: string;
  /** Tokens in the vocabulary. */
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the feed-forward block. */
  readonly intermediateSize: number;
  /** Number of layers. */
  readonly layers: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads. */
  readonly kvHeads: number;
  /** Width of a head. */
  readonly headDim: number;
  /** Longest context the model was made for, in tokens. */
  readonly contextLength: number;
  /** Epsilon of the norms. */
  readonly normEps: number;
  /** Activation of the feed-forward block. */
  readonly activation: Activation;
  /** Rotary embedding. */
  readonly rope: RopeConfig;
  /** The output head is the embedding. */
  readonly tiedHead: boolean;
  /** Beginning-of-sequence token. */
  readonly bosId?: number;
  /** Tokens that end a text. */
  readonly eosIds: readonly number[];
}

/** Reads the fields of a configuration by name, each checked; the first bad one throws. */
export class ConfigReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #prefix: string;

  /** Reads from `fields`; `prefix` is put before every name in lookups and errors. */
  constructor(fields: Readonly<Record<string, unknown>>, prefix = "") {
    this.#fields = fields;
    this.#prefix = prefix;
  }

  /** Whether the field is there and not null. */
  has(name: string): boolean {
    const value = this.#fields[this.#prefix + name];
    return value !== undefined && value !== null;
  }

  /** A whole number of at least `min`. */
  int(name: string, fallback?: number, min = 1): number {
    const value = this.number(name, fallback);
    if (!Number.isInteger(value) || value < min || value > 2 ** 31) {
      throw new InvalidConfigError(
        this.#prefix + name,
        `must be a whole number of at least ${min}, and is ${value}`,
      );
    }
    return value;
  }

  /** A finite number above zero. */
  positive(name: string, fallback?: number): number {
    const value = this.number(name, fallback);
    if (!(value > 0)) {
      throw new InvalidConfigError(this.#prefix + name, `must be above zero, and is ${value}`);
    }
    return value;
  }

  /** A finite number. */
  number(name: string, fallback?: number): number {
    const value = this.has(name) ? this.#fields[this.#prefix + name] : fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) {
      const what = value === undefined ? "is missing" : `must be a number, and is ${JSON.stringify(value)}`;
      throw new InvalidConfigError(this.#prefix + name, what);
    }
    return value;
  }

  /** A string. */
  string(name: string, fallback?: string): string {
    const value = this.has(name) ? this.#fields[this.#prefix + name] : fallback;
    if (typeof value !== "string") throw new InvalidConfigError(this.#prefix + name, "must be a string");
    return value;
  }

  /** A boolean. */
  bool(name: string, fallback?: boolean): boolean {
    const value = this.has(name) ? this.#fields[this.#prefix + name] : fallback;
    if (typeof value !== "boolean") {
      throw new InvalidConfigError(this.#prefix + name, "must be true or false");
    }
    return value;
  }

  /** A nested object, or nothing. */
  object(name: string): ConfigReader | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#fields[this.#prefix + name];
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new InvalidConfigError(this.#prefix + name, "must be an object");
    }
    return new ConfigReader(value as Record<string, unknown>);
  }

  /** One token id or a list of them; none where the field is absent. */
  ids(name: string): number[] {
    if (!this.has(name)) return [];
    const value = this.#fields[this.#prefix + name];
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((id) => Number.isInteger(id) && id >= 0)) {
      throw new InvalidConfigError(this.#prefix + name, "must be a token id or a list of them");
    }
    return list;
  }
}

/** Checks what single fields cannot tell. */
export function checkDecoderConfig(config: DecoderConfig): DecoderConfig {
  const { heads, kvHeads, headDim, rope, vocabSize } = config;
  if (heads % kvHeads !== 0) {
    throw new InvalidConfigError("num_key_value_heads", `${heads} heads are no multiple of ${kvHeads}`);
  }
  if (rope.rotaryDim > headDim || rope.rotaryDim % 2 !== 0) {
    throw new InvalidConfigError(
      "rotary_dim",
      `${rope.rotaryDim} must be even and at most the head's ${headDim}`,
    );
  }
  for (const id of config.eosIds) {
    if (id >= vocabSize) {
      throw new InvalidConfigError("eos_token_id", `${id} is outside the vocabulary of ${vocabSize}`);
    }
  }
  return config;
}
