/**
 * LLMForge: language-model inference as a module.
 *
 * ```ts
 * import { load } from "@llmforge/llmforge";
 * await using model = await load();
 * for await (const chunk of model.generate("Once upon a time", { maxTokens: 8 })) console.log(chunk.text);
 * ```
 *
 * @module
 */
export { load, type LoadOptions } from "./src/load.ts";
export { type Conversion, convert, type ConvertOptions } from "./src/convert/convert.ts";
export type { QuantKind } from "./src/convert/quant_kinds.ts";
export type { ModelFormat } from "./src/convert/targets.ts";
export { fromPretrained, type FromPretrainedOptions } from "./src/from_pretrained.ts";
export { Model } from "./src/model.ts";
export type { Score } from "./src/generate/perplexity.ts";
export {
  type Chunk,
  type FinishReason,
  type GenerateOptions,
  Generation,
  type GenerationStats,
} from "./src/generate/generation.ts";
export { Chat, type ChatOptions, type ChatSource, type ChatState } from "./src/chat/chat.ts";
export { Answer, type AnswerEvents } from "./src/chat/answer.ts";
export type { Transcript } from "./src/chat/prompt.ts";
export type { ContextOptions, ContextPolicy } from "./src/generate/context.ts";
export type { EmbedInput, EmbedOptions, RankedDocument } from "./src/generate/embed.ts";
export type { EncoderInput } from "./src/generate/encoder.ts";
export type { EngineUsage } from "./src/generate/engine.ts";
export type { GenerationResult } from "./src/generate/generate_all.ts";
export type {
  BeamSearchOptions,
  BestOfNOptions,
  FoundSequence,
  SearchOptions,
  SearchResult,
} from "./src/generate/search.ts";
export type { ScoredSequence } from "./src/generate/forking.ts";
export type { LogitsProcessor, ProcessorContext, SamplingOptions } from "./src/sampling/options.ts";
export type { TokenLogprob } from "./src/sampling/logprobs.ts";
export type { BackendChoice, BackendReport } from "./src/backends/select.ts";
export type { BackendName, DeviceInfo } from "./src/backends/backend.ts";
export { NaiveTokenizer } from "./src/tokenizer/naive.ts";
export type {
  DecodeOptions,
  EncodeOptions,
  StreamDecoder,
  Tokenizer,
  TokenPair,
} from "./src/tokenizer/tokenizer.ts";
export type { ChatMessage, ChatTemplateOptions } from "./src/tokenizer/chat_template.ts";
export type { TokenBytes } from "./src/tokenizer/utf8.ts";
export type { SourceLike } from "./src/formats/source.ts";
export type { DecoderConfig, EncoderConfig } from "./src/models/config.ts";
export { type Pooling, POOLINGS } from "./src/models/pooling.ts";
export type { ExpertsConfig } from "./src/nn/experts.ts";
export type { NormConfig } from "./src/nn/norm.ts";
export type { RelativeBiasConfig } from "./src/nn/relative_bias.ts";
export type { Llama3Scaling, LongRopeScaling, RopeConfig, RopeScaling, YarnScaling } from "./src/nn/rope.ts";
export { type Activation, ACTIVATIONS } from "./src/program/ops.ts";
export { Profile, type ProfileRow } from "./src/trace/profile.ts";
export type { Roof } from "./src/trace/roof.ts";
export type { OpTimes } from "./src/backends/backend.ts";
export type * from "./src/program/program.ts";
export type { OpName } from "./src/program/ops.ts";
export { type DType, DTYPES } from "./src/tensor/dtype.ts";
export * from "./src/errors.ts";
