/**
 * The weights of a decoder, from the table of its names: where a file may hold each, and in which form.
 *
 * @module
 */
import type { ModelMetadata, RowCut, WeightEntry, WeightPlace } from "./architecture.ts";
import type { DecoderConfig } from "./config.ts";
import {
  type DecoderNames,
  type FileNames,
  hasRole,
  type LayerRole,
  type ModelRole,
  type NamePair,
  OPTIONAL_ROLES,
  OUTSIDE_ROLES,
  SHAPES,
} from "./names.ts";

/** How a tensor holds a weight. */
interface Form {
  /** Rows of the tensor where the weight is cut from it. */
  readonly cut?: { readonly rows: RowCut; readonly of: number };
  /** Stored as [in, out]. */
  readonly transposed?: boolean;
}

/** A name, and the form in which the tensor of that name holds the weight. */
interface Candidate extends Form {
  readonly name: string;
  readonly written?: ModelMetadata["naming"];
}

/** All weights of a decoder. Biases are taken where the file has them. */
export function decoderWeights(names: DecoderNames, c: DecoderConfig): WeightEntry[] {
  const { prefixes, model, outside = OUTSIDE_ROLES } = names;
  const roles = (Object.keys(model) as ModelRole[]).filter((role) =>
    (role !== "head" || !c.tiedHead) && (role !== "classifier" || c.labels !== undefined)
  );
  return [
    ...roles.flatMap((role) => {
      // The empty prefix comes first then.
      const order = outside.includes(role) ? prefixes.toSorted() : prefixes;
      const found = candidates(model[role], "", order, {}, role === "positions" ? positionCut(c) : {});
      return entries(role, SHAPES[role](c), found, c, names.suffixes);
    }),
    ...Array.from({ length: c.layers }, (_, layer) => layerEntries(names, c, layer)).flat(),
  ];
}

function layerEntries(names: DecoderNames, c: DecoderConfig, layer: number): WeightEntry[] {
  const prefixes = names.prefixes.map((prefix) => `${prefix}${names.layers}.${layer}.`);
  const listed = (pair: NamePair | undefined, gguf: Form = {}, huggingFace: Form = gguf): Candidate[] =>
    candidates(pair, `${names.ggufLayers ?? "blk"}.${layer}.`, prefixes, gguf, {
      ...huggingFace,
      transposed: names.transposed,
    });
  const { fusedAttention, fusedGate } = names;
  const roles = new Set(Object.keys(names.layer) as LayerRole[]);
  if (fusedAttention) ATTENTION_PARTS.forEach((role) => roles.add(role));
  if (fusedGate) GATE_PARTS.forEach((role) => roles.add(role));
  return [...roles].filter((role) => hasRole(role, c)).flatMap((role) => {
    const found = listed(names.layer[role]);
    if (fusedAttention && isPart(ATTENTION_PARTS, role)) {
      const huggingFace = attentionCut(role, c, fusedAttention.interleaved ? c.kvHeads : 1);
      found.push(...listed(fusedAttention.names, attentionCut(role, c, 1), huggingFace));
    }
    if (isPart(GATE_PARTS, role)) found.push(...listed(fusedGate, gateCut(role, c)));
    return entries(`layers.${layer}.${role}`, SHAPES[role](c), found, c, names.suffixes);
  });
}

const ATTENTION_PARTS = ["query", "key", "value"] as const;
const GATE_PARTS = ["gate", "up"] as const;

function isPart<T extends string>(parts: readonly T[], role: string): role is T {
  return parts.includes(role as T);
}

/** The rows of one part of a fused tensor, which has so many groups of queries, keys and values. */
function attentionCut(part: typeof ATTENTION_PARTS[number], c: DecoderConfig, groups: number): Form {
  const queries = c.heads / groups * c.headDim;
  const keys = c.kvHeads / groups * c.headDim;
  const stride = queries + 2 * keys;
  const offset = { query: 0, key: queries, value: queries + keys }[part];
  const length = part === "query" ? queries : keys;
  return { cut: { rows: { offset, length, stride, count: groups }, of: groups * stride } };
}

/** Hugging Face files may have rows for padding before that of the first token. */
function positionCut({ contextLength: length, positionOffset: offset = 0 }: DecoderConfig): Form {
  return offset === 0
    ? {}
    : { cut: { rows: { offset, length, stride: length, count: 1 }, of: offset + length } };
}

function gateCut(part: typeof GATE_PARTS[number], { intermediateSize: length }: DecoderConfig): Form {
  const of = 2 * length;
  return { cut: { rows: { offset: part === "gate" ? 0 : length, length, stride: of, count: 1 }, of } };
}

function candidates(
  pair: NamePair | undefined,
  ggufPrefix: string,
  prefixes: readonly string[],
  gguf: Form = {},
  huggingFace: Form = {},
): Candidate[] {
  const list = (names: FileNames): readonly string[] => typeof names === "string" ? [names] : names;
  const [ggufNames, huggingFaceNames] = pair ?? [[], []];
  return [
    ...list(ggufNames).map((name) => ({ ...gguf, name: ggufPrefix + name, written: "gguf" as const })),
    ...list(huggingFaceNames).flatMap((name) =>
      prefixes.map((prefix, i) => ({
        ...huggingFace,
        name: prefix + name,
        ...(i === 0 ? { written: "hugging_face" as const } : {}),
      }))
    ),
  ];
}

/** A weight and its bias. */
function entries(
  role: string,
  shape: readonly number[],
  found: readonly Candidate[],
  c: DecoderConfig,
  suffixes: NonNullable<DecoderNames["suffixes"]> = { weight: ["weight"], bias: ["bias"] },
): WeightEntry[] {
  // A parallel layer may feed both blocks from one norm.
  const optional = (role.endsWith(".feedForwardNorm") && c.parallelResidual) ||
    OPTIONAL_ROLES.some((name) => name === role);
  const experts = role.includes(".experts.") ? c.experts?.count : undefined;
  const [out] = shape;
  const ending = (endings: readonly string[], shape: readonly number[]): WeightPlace[] =>
    found.flatMap((candidate) => endings.map((suffix) => place(candidate, suffix, shape)));
  const weights = experts
    ? found.map((candidate) => expertsPlace(candidate, shape, experts))
    : ending(suffixes.weight, shape);
  const biases = ending(suffixes.bias, [out]);
  return [
    { name: `${role}.weight`, shape, places: weights, optional },
    ...(experts ? [] : [{ name: `${role}.bias`, shape: [out], places: biases, optional: true }]),
  ];
}

function place(
  { name, cut, transposed, written }: Candidate,
  suffix: string,
  shape: readonly number[],
): WeightPlace {
  const stored = cut ? [cut.of, ...shape.slice(1)] : shape;
  const turned = transposed === true && shape.length === 2;
  return {
    tensors: [`${name}.${suffix}`],
    shape: turned ? stored.toReversed() : stored,
    ...(cut ? { rows: cut.rows } : {}),
    ...(turned ? { transposed } : {}),
    ...(written ? { written } : {}),
  };
}

/** All experts in one tensor, [experts, out, in], or a tensor for each. */
function expertsPlace(
  { name, written }: Candidate,
  [rows, columns]: readonly number[],
  count: number,
): WeightPlace {
  const shape = [rows / count, columns];
  if (!name.includes("*")) return { tensors: [`${name}.weight`], shape: [count, ...shape], written };
  const tensors = Array.from({ length: count }, (_, i) => `${name.replace("*", `${i}`)}.weight`);
  return { tensors, shape, written };
}
