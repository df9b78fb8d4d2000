/**
 * The names of a decoder's weights in files, as one table a family, and the shapes that a configuration demands.
 *
 * @module
 */
import type { ExpertsConfig } from "../nn/experts.ts";
import type { DecoderConfig } from "./config.ts";

/**
 * Names of a tensor without `.weight` and `.bias`; of several the first in the file counts. A `*` stands for the number
 * of an expert, where each has a tensor of its own.
 */
export type FileNames = string | readonly string[];

/** Names in GGUF and in Hugging Face files. Those of a layer leave out what stands before: `blk.0.`, `layers.0.`. */
export type NamePair = readonly [gguf: FileNames, huggingFace: FileNames];

/** What a weight is for: its name in the Program. */
export type ModelRole =
  | "embedding"
  | "positions"
  | "tokenTypes"
  | "embeddingNorm"
  | "relativeBias"
  | "norm"
  | "head"
  | "pooler"
  | "classifier";
/** As `ModelRole`, for the weights of a layer. */
export type LayerRole =
  | "attentionNorm"
  | "attentionPostNorm"
  | "attentionSumNorm"
  | "crossNorm"
  | "crossQuery"
  | "crossKey"
  | "crossValue"
  | "crossOutput"
  | "crossSumNorm"
  | "feedForwardNorm"
  | "feedForwardPostNorm"
  | "feedForwardSumNorm"
  | "query"
  | "key"
  | "value"
  | "output"
  | "queryNorm"
  | "keyNorm"
  | "gate"
  | "up"
  | "down"
  | "router"
  | "experts.gate"
  | "experts.up"
  | "experts.down"
  | "shared.router"
  | "shared.gate"
  | "shared.up"
  | "shared.down";

/** The table of a family. */
export interface DecoderNames {
  /** What Hugging Face names begin with; of several the first in the file counts. `""` is a base model. */
  readonly prefixes: readonly string[];
  /** Weights whose Hugging Face names stand outside of what the prefix names. Default: the heads. */
  readonly outside?: readonly ModelRole[];
  /** What Hugging Face names of a layer begin with, before its number: `layers`. */
  readonly layers: string;
  /** What GGUF names of a layer begin with, before its number. Default: `blk`. */
  readonly ggufLayers?: string;
  /** Weights of the model. */
  readonly model: Readonly<Partial<Record<ModelRole, NamePair>>>;
  /** Weights of a layer. */
  readonly layer: Readonly<Partial<Record<LayerRole, NamePair>>>;
  /** Query, key and value in one tensor. */
  readonly fusedAttention?: {
    /** Its names. */
    readonly names: NamePair;
    /** Hugging Face keeps each KV head's queries, key and value together; GGUF has all queries, keys, then values. */
    readonly interleaved: boolean;
  };
  /** Gate and up in one tensor, gate first. */
  readonly fusedGate?: NamePair;
  /** How names of weights and biases end, where they have other endings beside `weight` and `bias`. */
  readonly suffixes?: { readonly weight: readonly string[]; readonly bias: readonly string[] };
  /** Hugging Face matrices of layers are stored as [in, out]. */
  readonly transposed?: boolean;
}

type Shape = (c: DecoderConfig) => readonly number[];

const hidden: Shape = (c) => [c.hiddenSize];
const toInner: Shape = (c) => [c.intermediateSize, c.hiddenSize];
const vocabulary: Shape = (c) => [c.vocabSize, c.hiddenSize];
const ofExperts = (shape: (experts: ExpertsConfig, c: DecoderConfig) => readonly number[]): Shape => (c) =>
  c.experts ? shape(c.experts, c) : [];
const toExperts = ofExperts((e, c) => [e.count * e.intermediateSize, c.hiddenSize]);
const toShared = ofExperts((e, c) => [e.sharedSize, c.hiddenSize]);
const toHeads: Shape = (c) => [c.heads * c.headDim, c.hiddenSize];
const fromHeads: Shape = (c) => [c.hiddenSize, c.heads * c.headDim];
const headNorm = (heads: (c: DecoderConfig) => number): Shape => (c) => [
  c.qkNorm === "width" ? heads(c) * c.headDim : c.headDim,
];

/** Shape of each weight. */
export const SHAPES: Readonly<Record<ModelRole | LayerRole, Shape>> = {
  embedding: vocabulary,
  positions: (c) => [c.contextLength, c.hiddenSize],
  tokenTypes: (c) => [c.tokenTypes ?? 0, c.hiddenSize],
  embeddingNorm: hidden,
  relativeBias: (c) => [c.relativeBias?.buckets ?? 0, c.heads],
  norm: hidden,
  head: vocabulary,
  pooler: (c) => [c.hiddenSize, c.hiddenSize],
  classifier: (c) => [c.labels ?? 0, c.hiddenSize],
  attentionNorm: hidden,
  attentionPostNorm: hidden,
  attentionSumNorm: hidden,
  crossNorm: hidden,
  crossQuery: toHeads,
  crossKey: toHeads,
  crossValue: toHeads,
  crossOutput: fromHeads,
  crossSumNorm: hidden,
  feedForwardNorm: hidden,
  feedForwardPostNorm: hidden,
  feedForwardSumNorm: hidden,
  query: toHeads,
  key: (c) => [c.kvHeads * c.headDim, c.hiddenSize],
  value: (c) => [c.kvHeads * c.headDim, c.hiddenSize],
  output: fromHeads,
  queryNorm: headNorm((c) => c.heads),
  keyNorm: headNorm((c) => c.kvHeads),
  gate: toInner,
  up: toInner,
  down: (c) => [c.hiddenSize, c.intermediateSize],
  router: ofExperts((e, c) => [e.count, c.hiddenSize]),
  "experts.gate": toExperts,
  "experts.up": toExperts,
  "experts.down": ofExperts((e, c) => [e.count * c.hiddenSize, e.intermediateSize]),
  "shared.router": (c) => [1, c.hiddenSize],
  "shared.gate": toShared,
  "shared.up": toShared,
  "shared.down": ofExperts((e, c) => [c.hiddenSize, e.sharedSize]),
};

/** Weights that stand outside of what the prefix names, where a family does not say. */
export const OUTSIDE_ROLES: readonly ModelRole[] = ["head", "classifier"];

/** Weights of the model that a file may lack: base models have no heads. */
export const OPTIONAL_ROLES: readonly ModelRole[] = ["pooler", "classifier"];

/** Which layers have a role: those with experts have no dense block, and the other way round. */
export function hasRole(role: LayerRole, { experts, gatedFeedForward }: DecoderConfig): boolean {
  if (role === "gate" && gatedFeedForward === false) return false;
  if (role === "gate" || role === "up" || role === "down") return experts === undefined;
  if (role.startsWith("shared.")) return experts !== undefined && experts.sharedSize > 0;
  return experts !== undefined || !(role === "router" || role.startsWith("experts."));
}
