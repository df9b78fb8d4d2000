/**
 * Embeddings of texts, and how well documents answer a query.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import type { DecoderConfig } from "../models/config.ts";
import { type Pooling, POOLINGS } from "../models/pooling.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Encoder, EncoderInput } from "./encoder.ts";
import { normalize, pool } from "./pooling.ts";

/** A text: as it is, as token ids, or as ids with their types. */
export type EmbedInput = string | readonly number[] | EncoderInput;

/** Options of `embed`. */
export interface EmbedOptions {
  /**
   * How the vectors of a text's tokens become one: `mean`, `cls` (the first), `last`, `pooler` (the model's own layer
   * over the first), or `none`, which gives all of them. Default: what the file says, else `mean`.
   */
  pooling?: Pooling;
  /** Vectors have the length 1. Default: `true`. */
  normalize?: boolean;
  /** Ends the work. */
  signal?: AbortSignal;
}

/** A document and how well it answers the query. */
export interface RankedDocument {
  /** Its place among the documents as they were given. */
  readonly index: number;
  /** The model's own score: the higher, the better. */
  readonly score: number;
}

/** What embedding needs of a model. */
export interface EmbedSource {
  /** Reads the texts. */
  readonly encoder: Encoder;
  /** Configuration. */
  readonly config: DecoderConfig;
  /** Tokenizer; absent where the file has none. */
  readonly tokenizer?: Tokenizer;
}

/** A vector for each text; with `none` the vectors of all its tokens, one after another. */
export async function embed(
  { encoder, config, tokenizer }: EmbedSource,
  inputs: readonly EmbedInput[],
  options: EmbedOptions = {},
): Promise<Float32Array[]> {
  const pooling = options.pooling ?? config.pooling ?? "mean";
  if (!POOLINGS.includes(pooling)) {
    throw new InvalidArgumentError(`pooling must be one of ${POOLINGS.join(", ")}, not ${pooling}`);
  }
  const tokenized: EncoderInput[] = [];
  for (const input of inputs) tokenized.push(await tokenize(tokenizer, input));
  const finish = options.normalize ?? true ? normalize : (vector: Float32Array) => vector;
  if (pooling === "pooler") return (await encoder.run(tokenized, "pooled", options.signal)).map(finish);
  const states = await encoder.run(tokenized, "hidden", options.signal);
  return states.map((rows) => joined(pool(rows, config.hiddenSize, pooling).map(finish)));
}

/** The documents, best first, by the score that the model's head gives to query and document together. */
export async function rerank(
  { encoder, config, tokenizer }: EmbedSource,
  query: string,
  documents: readonly string[],
  { signal }: { signal?: AbortSignal } = {},
): Promise<RankedDocument[]> {
  if (config.labels !== 1) {
    const head = config.labels === undefined ? "no classification head" : `a head of ${config.labels} labels`;
    throw new InvalidArgumentError(`reranking needs a head with one label and the model has ${head}`);
  }
  if (!tokenizer?.encodePair) {
    throw new InvalidArgumentError(
      "the model has no tokenizer that encodes pairs; put tokenizer.json beside it",
    );
  }
  await tokenizer.prepare();
  const inputs = documents.map((document) => tokenizer.encodePair?.(query, document) ?? { ids: [] });
  const scores = await encoder.run(inputs.map((input) => fitTypes(input, config)), "scores", signal);
  return scores
    .map(([score], index) => ({ index, score }))
    .sort((a, b) => b.score - a.score || a.index - b.index);
}

/** Models with one type of token have it for both texts. */
function fitTypes({ ids, tokenTypes }: EncoderInput, { tokenTypes: types = 0 }: DecoderConfig): EncoderInput {
  return types > 1 && tokenTypes ? { ids, tokenTypes } : { ids };
}

async function tokenize(tokenizer: Tokenizer | undefined, input: EmbedInput): Promise<EncoderInput> {
  if (typeof input !== "string") return "ids" in input ? input : { ids: input };
  if (!tokenizer) throw new InvalidArgumentError("the model has no tokenizer; give the texts as token ids");
  await tokenizer.prepare();
  return { ids: tokenizer.encode(input) };
}

function joined(vectors: readonly Float32Array[]): Float32Array {
  if (vectors.length === 1) return vectors[0];
  const width = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * width);
  vectors.forEach((vector, i) => all.set(vector, i * width));
  return all;
}
