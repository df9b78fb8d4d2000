/**
 * BERT: a bidirectional encoder with learned positions, token types and a norm after each sum.
 *
 * @module
 */
import { UnsupportedModelError } from "../errors.ts";
import type { ModelMetadata } from "./architecture.ts";
import type { DecoderConfig } from "./config.ts";
import type { ConfigReader } from "./config_reader.ts";
import { type AnyNames, decoderArchitecture, type DecoderFamily } from "./decoder.ts";
import type { DecoderNames } from "./names.ts";

/** GGUF key of the rows of a position table that no token reads. */
export const POSITION_PADDING = "position_padding";

/** Names of a base model's weights. */
export const bertNames: DecoderNames = {
  prefixes: ["", "bert."],
  layers: "encoder.layer",
  suffixes: { weight: ["weight", "gamma"], bias: ["bias", "beta"] },
  model: {
    embedding: ["token_embd", "embeddings.word_embeddings"],
    positions: ["position_embd", "embeddings.position_embeddings"],
    tokenTypes: ["token_types", "embeddings.token_type_embeddings"],
    embeddingNorm: ["token_embd_norm", "embeddings.LayerNorm"],
    pooler: ["cls", "pooler.dense"],
    classifier: ["cls.output", "classifier"],
  },
  layer: {
    query: ["attn_q", "attention.self.query"],
    key: ["attn_k", "attention.self.key"],
    value: ["attn_v", "attention.self.value"],
    output: ["attn_output", "attention.output.dense"],
    attentionSumNorm: ["attn_output_norm", "attention.output.LayerNorm"],
    up: ["ffn_up", "intermediate.dense"],
    down: ["ffn_down", "output.dense"],
    feedForwardSumNorm: ["layer_output_norm", "output.LayerNorm"],
  },
};

/** BERT as a family. */
export const bertFamily: DecoderFamily<AnyNames> = {
  ids: ["bert", "BertModel", "BertForSequenceClassification"],
  norm: "layer",
  names: ({ labels }) => labels === undefined ? bertNames : { ...bertNames, prefixes: ["bert.", ""] },
  huggingFace: (config, has) => ({
    architectures: [config.labels === undefined ? "BertModel" : "BertForSequenceClassification"],
    ...encoderFields(config, has),
  }),
  defaults: (_read, naming) => ({
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
    ...(naming === "gguf" ? {} : { max_position_embeddings: 512 }),
  }),
  config: bertConfig,
};

/** Fields of `config.json` that encoders of BERT's kind have. */
export function encoderFields(
  { tokenTypes, labels }: DecoderConfig,
  has: (weight: string) => boolean,
): Record<string, unknown> {
  // llama.cpp's converter leaves the pooler out, and reads the classes off the first token itself.
  if (labels !== undefined && !has("pooler.weight")) {
    throw new UnsupportedModelError(
      "the file has a classifier without the layer before it, which config.json cannot say; convert to gguf or forge",
    );
  }
  return { type_vocab_size: tokenTypes };
}

/** What encoders of BERT's kind add to the common fields. */
export function bertConfig(
  common: DecoderConfig,
  read: ConfigReader,
  metadata: ModelMetadata,
): DecoderConfig {
  read.refuse("is_decoder", read.bool("is_decoder", false), "is not supported; it must be false");
  const positions = read.string("position_embedding_type", "absolute");
  read.refuse("position_embedding_type", positions !== "absolute", `${positions} is not supported`);
  const shape = (...names: string[]): readonly number[] | undefined =>
    names.map((name) => metadata.shapeOf(name)).find((found) => found !== undefined);
  const [labels] = shape("cls.output.weight", "classifier.out_proj.weight", "classifier.weight") ?? [];
  const types = shape("token_types.weight")?.[0] ?? 2;
  const { rope: _, ...rest } = common;
  return {
    ...rest,
    ...(metadata.naming === "gguf" ? ggufPadding(read, common) : {}),
    kind: "encoder",
    tokenTypes: read.int("type_vocab_size", types),
    ...(labels === undefined ? {} : { labels }),
  };
}

/** Files of RoBERTa that were converted here carry the rows of the position table that stand before the first token's. */
function ggufPadding(
  read: ConfigReader,
  { hiddenSize }: DecoderConfig,
): Pick<DecoderConfig, "positionOffset"> {
  const rows = (read.numbers(POSITION_PADDING)?.length ?? 0) / hiddenSize;
  read.refuse(POSITION_PADDING, !Number.isInteger(rows), `must be rows of ${hiddenSize} numbers`);
  return rows > 0 ? { positionOffset: rows } : {};
}

/** BERT and kin; RoBERTa too calls itself so in GGUF files. */
export const bert = decoderArchitecture(bertFamily);
