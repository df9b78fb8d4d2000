/**
 * RoBERTa and XLM-RoBERTa: BERT whose position table has rows for padding first.
 *
 * @module
 */
import { bertConfig, bertFamily } from "./bert.ts";
import { decoderArchitecture } from "./decoder.ts";

/** RoBERTa, XLM-RoBERTa and kin. Their GGUF files call themselves bert. */
export const roberta = decoderArchitecture({
  ...bertFamily,
  ids: [
    "roberta",
    "xlm-roberta",
    "RobertaModel",
    "RobertaForSequenceClassification",
    "XLMRobertaModel",
    "XLMRobertaForSequenceClassification",
  ],
  names: {
    ...bertFamily.names,
    prefixes: ["roberta.", ""],
    model: {
      ...bertFamily.names.model,
      pooler: ["cls", ["classifier.dense", "pooler.dense"]],
      classifier: ["cls.output", "classifier.out_proj"],
    },
  },
  config(common, read, metadata) {
    const positionOffset = read.int("pad_token_id", 1, 0) + 1;
    const contextLength = common.contextLength - positionOffset;
    read.refuse("max_position_embeddings", contextLength < 1, "has no rows for tokens");
    return { ...bertConfig(common, read, metadata), positionOffset, contextLength };
  },
});
