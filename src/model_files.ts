/**
 * What comes with a model's weights: its tokenizer and the sampling it recommends.
 *
 * @module
 */
import { parseJson } from "./formats/json.ts";
import type { ModelFile } from "./formats/model_file.ts";
import type { ForcedTokens } from "./generate/forced.ts";
import { ConfigReader } from "./models/config_reader.ts";
import type { SamplingOptions } from "./sampling/sampler.ts";
import { ggufTokenizerFields } from "./tokenizer/gguf_fields.ts";
import type { HuggingFaceTokenizerOptions } from "./tokenizer/hugging_face.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** GGUF key under which a file carries a whole `tokenizer.json`. */
export const EMBEDDED_TOKENIZER = "tokenizer.huggingface.json";

/** The tokenizer of a model, not yet prepared for encoding; nothing where the file has none. */
export async function modelTokenizer(file: ModelFile): Promise<Tokenizer | undefined> {
  const { metadata } = file;
  const embedded = metadata[EMBEDDED_TOKENIZER];
  if (typeof embedded === "string") {
    const { huggingFaceTokenizer } = await import("./tokenizer/hugging_face.ts");
    return huggingFaceTokenizer(parseEmbedded(embedded, file.name), embeddedOptions(file));
  }
  if (file.tokenizerJson) {
    const { huggingFaceTokenizer } = await import("./tokenizer/hugging_face.ts");
    const config = await file.tokenizerConfig?.() as Record<string, unknown> | undefined;
    const eosIds = file.generationConfig ? new ConfigReader(file.generationConfig).ids("eos_token_id") : [];
    return huggingFaceTokenizer(await file.tokenizerJson(), {
      config,
      eosIds,
      chatTemplate: await file.chatTemplate?.(),
    });
  }
  const model = metadata["tokenizer.ggml.model"];
  if (model === undefined || model === "none") return undefined;
  const { ggufTokenizer } = await import("./tokenizer/gguf.ts");
  return ggufTokenizer(metadata, file.packedStrings);
}

function parseEmbedded(text: string, file: string): unknown {
  return parseJson(text, { file, tensor: EMBEDDED_TOKENIZER });
}

/** What stands in `tokenizer_config.json` of a folder, as GGUF metadata have it. */
function embeddedOptions({ metadata, packedStrings }: ModelFile): HuggingFaceTokenizerOptions {
  // A file that has the embedded definition alone says nothing more.
  if (metadata["tokenizer.ggml.tokens"] === undefined) return {};
  const { tokens, bosId, endIds, unknownId, paddingId, chatTemplate } = ggufTokenizerFields(
    metadata,
    packedStrings,
  );
  const text = (id: number | undefined): string | undefined => id === undefined ? undefined : tokens.at(id);
  return {
    config: {
      bos_token: text(bosId),
      eos_token: text(endIds[0]),
      unk_token: text(unknownId),
      pad_token: text(paddingId),
    },
    chatTemplate,
    eosIds: endIds,
  };
}

/**
 * The tokens that a model's files force upon the ends of its texts, below the size of its vocabulary.
 *
 * @throws {InvalidConfigError} where one is outside of it.
 */
export function forcedTokens(file: ModelFile, vocabSize: number): ForcedTokens {
  const read = [file.generationConfig, file.config].map((fields) => new ConfigReader(fields ?? {}));
  const id = (name: string): number | undefined => {
    const found = read.find((fields) => fields.has(name));
    const [first] = found?.ids(name) ?? [];
    found?.refuse(name, first >= vocabSize, `${first} is outside the vocabulary of ${vocabSize}`);
    return first;
  };
  return { first: id("forced_bos_token_id"), last: id("forced_eos_token_id") };
}

/** The sampling that a model's files recommend; empty (greedy) where they recommend none. */
export function samplingDefaults(file: ModelFile): SamplingOptions {
  if (file.generationConfig) {
    const read = new ConfigReader(file.generationConfig);
    if (!read.has("do_sample") || !read.bool("do_sample")) return penaltyDefault(read);
    return {
      temperature: read.number("temperature", 1),
      ...(read.has("top_k") ? { topK: read.int("top_k", 0, 0) } : {}),
      ...(read.has("top_p") ? { topP: read.number("top_p") } : {}),
      ...(read.has("min_p") ? { minP: read.number("min_p") } : {}),
      ...(read.has("typical_p") ? { typicalP: read.number("typical_p") } : {}),
      ...penaltyDefault(read),
    };
  }
  const read = new ConfigReader(file.metadata, { prefix: "general.sampling." });
  return {
    ...(read.has("temp") ? { temperature: read.number("temp") } : {}),
    ...(read.has("top_k") ? { topK: read.int("top_k", 0, 0) } : {}),
    ...(read.has("top_p") ? { topP: read.number("top_p") } : {}),
    ...(read.has("min_p") ? { minP: read.number("min_p") } : {}),
    ...(read.has("typical_p") ? { typicalP: read.number("typical_p") } : {}),
    ...(read.has("penalty_repeat") ? { repetitionPenalty: read.number("penalty_repeat") } : {}),
    ...(read.has("penalty_last_n") ? { repetitionWindow: windowOf(read.int("penalty_last_n", 0, -1)) } : {}),
  };
}

/** -1 is the whole text. */
function windowOf(lastTokens: number): number {
  return lastTokens < 0 ? WHOLE_TEXT : lastTokens;
}

/** More than any text has. */
const WHOLE_TEXT = 2 ** 31;

/** The repetition penalty counts in greedy search too; the reference looks at the whole text. */
function penaltyDefault(read: ConfigReader): SamplingOptions {
  if (!read.has("repetition_penalty")) return {};
  return { repetitionPenalty: read.number("repetition_penalty"), repetitionWindow: WHOLE_TEXT };
}
