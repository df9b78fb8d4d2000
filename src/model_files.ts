/**
 * What comes with a model's weights: its tokenizer and the sampling it recommends.
 *
 * @module
 */
import type { ModelFile } from "./formats/model_file.ts";
import { ConfigReader } from "./models/config_reader.ts";
import type { SamplingOptions } from "./sampling/sampler.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** GGUF key under which a file carries a whole `tokenizer.json`. */
const EMBEDDED_TOKENIZER = "tokenizer.huggingface.json";

/** The tokenizer of a model, not yet prepared for encoding; nothing where the file has none. */
export async function modelTokenizer(file: ModelFile): Promise<Tokenizer | undefined> {
  const { metadata } = file;
  const embedded = metadata[EMBEDDED_TOKENIZER];
  if (typeof embedded === "string") {
    const { huggingFaceTokenizer } = await import("./tokenizer/hugging_face.ts");
    return huggingFaceTokenizer(JSON.parse(embedded));
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
  if (metadata["tokenizer.ggml.model"] === undefined) return undefined;
  const { ggufTokenizer } = await import("./tokenizer/gguf.ts");
  return ggufTokenizer(metadata, file.packedStrings);
}

/** The sampling that a model's files recommend; empty (greedy) where they recommend none. */
export function samplingDefaults(file: ModelFile): SamplingOptions {
  if (file.generationConfig) {
    const read = new ConfigReader(file.generationConfig);
    if (!read.has("do_sample") || !read.bool("do_sample")) return {};
    return {
      temperature: read.number("temperature", 1),
      ...(read.has("top_k") ? { topK: read.int("top_k", 0, 0) } : {}),
      ...(read.has("top_p") ? { topP: read.number("top_p") } : {}),
    };
  }
  const read = new ConfigReader(file.metadata, { prefix: "general.sampling." });
  return {
    ...(read.has("temp") ? { temperature: read.number("temp") } : {}),
    ...(read.has("top_k") ? { topK: read.int("top_k", 0, 0) } : {}),
    ...(read.has("top_p") ? { topP: read.number("top_p") } : {}),
  };
}
