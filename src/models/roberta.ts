/**
 * RoBERTa and XLM-RoBERTa: BERT whose position table has rows for padding first.
 *
 * @module
 */
import { bertConfig, bertFamily, bertNames, encoderFields } from "./bert.ts";
import { decoderArchitecture } from "./decoder.ts";
import type { DecoderNames } from "./names.ts";

/** Names of a base model's weights. */
const names: DecoderNames = { ...bertNames, prefixes: ["", "roberta."] };

/** As `names`, of a model with a classification head. */
const classifierNames: DecoderNames = {
  ...names,
  prefixes: ["roberta.", ""],
  // The layer before the classes is a part of the head here.
  outside: ["pooler", "classifier"],
  model: {
    ...names.model,
    pooler: ["cls", ["classifier.dense", "pooler.dense"]],
    classifier: ["cls.output", "classifier.out_proj"],
  },
};

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
  gguf: "bert",
  names: ({ labels }) => labels === undefined ? names : classifierNames,
  huggingFace: (config, has) => ({
    architectures: [config.labels === undefined ? "RobertaModel" : "RobertaForSequenceClassification"],
    max_position_embeddings: config.contextLength + (config.positionOffset ?? 0),
    pad_token_id: (config.positionOffset ?? 0) - 1,
    ...encoderFields(config, has),
  }),
  config(common, read, metadata) {
    const positionOffset = read.int("pad_token_id", 1, 0) + 1;
    const contextLength = common.contextLength - positionOffset;
    read.refuse("max_position_embeddings", contextLength < 1, "has no rows for tokens");
    return { ...bertConfig(common, read, metadata), positionOffset, contextLength };
  },
});
