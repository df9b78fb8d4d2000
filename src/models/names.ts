/**
 * The names of a decoder's weights in files, as one table a family, and the shapes that a configuration demands.
 *
 * @module
 */
import type { RowCut, WeightEntry, WeightPlace } from "./architecture.ts";
import type { DecoderConfig } from "./config.ts";

/** Names of a tensor or of what it holds, without `.weight` and `.bias`; of several the first in the file counts. */
type FileNames = string | readonly string[];

/** Names in GGUF and in Hugging Face files. Those of a layer leave out what stands before: `blk.0.`, `layers.0.`. */
export type NamePair = readonly [gguf: FileNames, huggingFace: FileNames];

/** What a weight is for: its name in the Program. */
export type ModelRole = "embedding" | "positions" | "embeddingNorm" | "norm" | "head";
/** As `ModelRole`, for the weights of a layer. */
export type LayerRole =
  | "attentionNorm"
  | "attentionPostNorm"
  | "feedForwardNorm"
  | "feedForwardPostNorm"
  | "query"
  | "key"
  | "value"
  | "output"
  | "queryNorm"
  | "keyNorm"
  | "gate"
  | "up"
  | "down";

/** The table of a family. */
export interface DecoderNames {
  /** What Hugging Face names begin with; of several the first in the file counts. `""` is a base model. */
  readonly prefixes: readonly string[];
  /** What Hugging Face names of a layer begin with, before its number: `layers`. */
  readonly layers: string;
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
  /** Hugging Face matrices of layers are stored as [in, out]. */
  readonly transposed?: boolean;
}

type Shape = (c: DecoderConfig) => readonly number[];

const hidden: Shape = (c) => [c.hiddenSize];
const toInner: Shape = (c) => [c.intermediateSize, c.hiddenSize];
const vocabulary: Shape = (c) => [c.vocabSize, c.hiddenSize];
const headNorm = (heads: (c: DecoderConfig) => number): Shape => (c) => [
  c.qkNorm === "width" ? heads(c) * c.headDim : c.headDim,
];

/** Shape of each weight. */
const SHAPES: Readonly<Record<ModelRole | LayerRole, Shape>> = {
  embedding: vocabulary,
  positions: (c) => [c.contextLength, c.hiddenSize],
  embeddingNorm: hidden,
  norm: hidden,
  head: vocabulary,
  attentionNorm: hidden,
  attentionPostNorm: hidden,
  feedForwardNorm: hidden,
  feedForwardPostNorm: hidden,
  query: (c) => [c.heads * c.headDim, c.hiddenSize],
  key: (c) => [c.kvHeads * c.headDim, c.hiddenSize],
  value: (c) => [c.kvHeads * c.headDim, c.hiddenSize],
  output: (c) => [c.hiddenSize, c.heads * c.headDim],
  queryNorm: headNorm((c) => c.heads),
  keyNorm: headNorm((c) => c.kvHeads),
  gate: toInner,
  up: toInner,
  down: (c) => [c.hiddenSize, c.intermediateSize],
};

/** All weights of a decoder. Biases are taken where the file has them. */
export function decoderWeights(names: DecoderNames, c: DecoderConfig): WeightEntry[] {
  const { prefixes } = names;
  const model = Object.entries(names.model).filter(([role]) => role !== "head" || !c.tiedHead);
  return [
    ...model.flatMap(([role, pair]) =>
      tensorEntries(role, SHAPES[role as ModelRole](c), places(pair, "", prefixes), optional(role, c))
    ),
    ...Array.from({ length: c.layers }, (_, layer) => layerEntries(names, c, layer)).flat(),
  ];
}

/** A parallel layer may feed both blocks from one norm. */
function optional(role: string, c: DecoderConfig): boolean {
  return role === "feedForwardNorm" && c.parallelResidual;
}

/** Where a weight may be; `.weight` and `.bias` are not yet put behind the name. */
interface Place extends Omit<WeightPlace, "tensors" | "shape"> {
  readonly name: string;
  /** Rows of the tensor where the weight is cut from it. */
  readonly storedRows?: number;
}

function places(
  [gguf, huggingFace]: NamePair,
  ggufPrefix: string,
  prefixes: readonly string[],
  ggufPlace: Omit<Place, "name"> = {},
  huggingFacePlace: Omit<Place, "name"> = {},
): Place[] {
  const list = (names: FileNames): readonly string[] => typeof names === "string" ? [names] : names;
  return [
    ...list(gguf).map((name) => ({ ...ggufPlace, name: ggufPrefix + name })),
    ...list(huggingFace).flatMap((name) =>
      prefixes.map((prefix) => ({ ...huggingFacePlace, name: prefix + name }))
    ),
  ];
}

function layerEntries(names: DecoderNames, c: DecoderConfig, layer: number): WeightEntry[] {
  const gguf = `blk.${layer}.`;
  const prefixes = names.prefixes.map((prefix) => `${prefix}${names.layers}.${layer}.`);
  const { fusedAttention, fusedGate } = names;
  const roles = new Set<LayerRole>(Object.keys(names.layer) as LayerRole[]);
  if (fusedAttention) { for (const role of ["query", "key", "value"] as const) roles.add(role); }
  if (fusedGate) { for (const role of ["gate", "up"] as const) roles.add(role); }
  return [...roles].flatMap((role) => {
    const shape = SHAPES[role](c);
    const matrix = { transposed: shape.length === 2 && names.transposed === true };
    const pair = names.layer[role];
    const found = pair ? places(pair, gguf, prefixes, {}, matrix) : [];
    if (fusedAttention && (role === "query" || role === "key" || role === "value")) {
      const cut = (groups: number): Omit<Place, "name"> => attentionCut(role, c, groups);
      found.push(...places(fusedAttention.names, gguf, prefixes, cut(1), {
        ...matrix,
        ...cut(fusedAttention.interleaved ? c.kvHeads : 1),
      }));
    }
    if (fusedGate && (role === "gate" || role === "up")) {
      const length = c.intermediateSize;
      const rows = { offset: role === "gate" ? 0 : length, length, stride: 2 * length, count: 1 };
      const cut = { rows, storedRows: 2 * length };
      found.push(...places(fusedGate, gguf, prefixes, cut, { ...matrix, ...cut }));
    }
    return tensorEntries(`layers.${layer}.${role}`, shape, found, optional(role, c));
  });
}

/** The rows of one part of a fused tensor, which has so many groups of queries, keys and values. */
function attentionCut(
  part: "query" | "key" | "value",
  c: DecoderConfig,
  groups: number,
): Omit<Place, "name"> {
  const queries = c.heads / groups * c.headDim;
  const keys = c.kvHeads / groups * c.headDim;
  const stride = queries + 2 * keys;
  const rows: RowCut = {
    offset: { query: 0, key: queries, value: queries + keys }[part],
    length: part === "query" ? queries : keys,
    stride,
    count: groups,
  };
  return { rows, storedRows: groups * stride };
}

/** A weight and its bias. */
function tensorEntries(
  name: string,
  shape: readonly number[],
  found: readonly Place[],
  absent: boolean,
): WeightEntry[] {
  const at = (suffix: string, outer: number[], rest: readonly number[]): WeightPlace[] =>
    found.map(({ name, storedRows, transposed, rows }) => {
      const stored = [...(storedRows === undefined ? outer : [storedRows]), ...rest];
      const turned = transposed === true && stored.length === 2;
      return {
        tensors: [`${name}.${suffix}`],
        shape: turned ? stored.toReversed() : stored,
        ...(rows ? { rows } : {}),
        ...(turned ? { transposed } : {}),
      };
    });
  const [out, ...rest] = shape;
  return [
    { name: `${name}.weight`, places: at("weight", [out], rest), shape, optional: absent },
    { name: `${name}.bias`, places: at("bias", [out], []), shape: [out], optional: true },
  ];
}
