/**
 * BERT: a bidirectional encoder with learned positions, token types and a norm after each sum.
 *
 * @module
 */
import type { ModelMetadata } from "./architecture.ts";
import type { DecoderConfig } from "./config.ts";
import type { ConfigReader } from "./config_reader.ts";
import { decoderArchitecture, type DecoderFamily } from "./decoder.ts";

/** BERT as a family. */
export const bertFamily: DecoderFamily = {
  ids: ["bert", "BertModel", "BertForSequenceClassification"],
  norm: "layer",
  names: {
    prefixes: ["bert.", ""],
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
  },
  defaults: (_read, naming) => ({
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
    ...(naming === "gguf" ? {} : { max_position_embeddings: 512 }),
  }),
  config: bertConfig,
};

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
    kind: "encoder",
    tokenTypes: read.int("type_vocab_size", types),
    ...(labels === undefined ? {} : { labels }),
  };
}

/** BERT and kin; RoBERTa too calls itself so in GGUF files. */
export const bert = decoderArchitecture(bertFamily);
