/**
 * What most models are: a table of names, rules for the configuration, and layers that differ in data only.
 *
 * @module
 */
import { allRows, type DecoderInputs } from "../nn/decoder.ts";
import { decoderLayer, type LayerWeights } from "../nn/decoder_layer.ts";
import type { ExpertsWeights } from "../nn/experts.ts";
import type { FeedForwardWeights } from "../nn/feed_forward.ts";
import type { Linear } from "../nn/linear.ts";
import { type Norm, norm } from "../nn/norm.ts";
import { relativeBias } from "../nn/relative_bias.ts";
import type { Recorder, Ref } from "../program/recorder.ts";
import type { Architecture, FileRules, ModelMetadata, Weights } from "./architecture.ts";
import { checkDecoderConfig } from "./check_config.ts";
import { type ConfigRules, type DecoderConfig, decoderConfig, fieldReader } from "./config.ts";
import type { ConfigReader } from "./config_reader.ts";
import type { DecoderNames } from "./names.ts";
import { ROPE_TENSORS } from "./rope_config.ts";
import { decoderWeights } from "./weight_entries.ts";

/** A table of names, or what gives the one of a configuration. */
export type AnyNames = DecoderNames | ((config: DecoderConfig) => DecoderNames);

/** The names of a model out of those of its family. */
export function namesOf(names: AnyNames, config: DecoderConfig): DecoderNames {
  return typeof names === "function" ? names(config) : names;
}

/** A family of decoders. */
export interface DecoderFamily<Names extends AnyNames = DecoderNames>
  extends ConfigRules, Pick<FileRules, "huggingFace"> {
  /** GGUF `general.architecture`, where it is not the first of the ids; null where GGUF has none for the family. */
  readonly gguf?: string | null;
  /** Names of its weights; a function where they depend on what else the model has. */
  readonly names: Names;
  /** What its configuration has beyond the common fields. */
  config?(common: DecoderConfig, read: ConfigReader, metadata: ModelMetadata): DecoderConfig;
}

/** The architecture of a family. */
export function decoderArchitecture(family: DecoderFamily<AnyNames>): Architecture {
  return {
    ids: family.ids,
    files: {
      gguf: family.gguf === undefined ? family.ids[0] : family.gguf,
      fields: family.fields ?? {},
      layerTypes: family.slides !== undefined,
      huggingFace: family.huggingFace,
    },
    smallTensors: ROPE_TENSORS,
    config(metadata) {
      const common = decoderConfig(metadata, family);
      const config = family.config?.(common, fieldReader(metadata, family), metadata) ?? common;
      return checkDecoderConfig(config);
    },
    weights: (config) => decoderWeights(namesOf(family.names, config), config),
    build: buildStack,
  };
}

/** Embeds, runs the layers, and norms. Gives [rows, hidden], or [outputs, hidden] where not all rows are wanted. */
export function buildStack(g: Recorder, w: Weights, c: DecoderConfig, given: DecoderInputs): Ref {
  const bias = c.relativeBias &&
    relativeBias(g, w.get("relativeBias.weight"), c.relativeBias, c.kind === "encoder");
  const inputs = { ...given, bias };
  let x = g.embed(inputs.tokens, w.get("embedding.weight"), c.embeddingScale);
  const positions = w.find("positions.weight");
  if (positions) x = g.add(x, g.embed(inputs.positions, positions));
  const types = w.find("tokenTypes.weight");
  if (types && inputs.tokenTypes) x = g.add(x, g.embed(inputs.tokenTypes, types));
  x = norm(g, x, findNorm(w, "embeddingNorm"), c.norm);
  for (let layer = 0; layer < c.layers; layer++) {
    const isLast = layer === c.layers - 1;
    x = decoderLayer(g, x, layerWeights(w, layer), c, layer, isLast ? inputs : allRows(inputs));
  }
  return norm(g, x, findNorm(w, "norm"), c.norm);
}

function findNorm(w: Weights, role: string): Norm | undefined {
  return w.find(`${role}.weight`) && getLinear(w, role);
}

function getLinear(w: Weights, role: string): Linear {
  return { weight: w.get(`${role}.weight`), bias: w.find(`${role}.bias`) };
}

/** The weights of one layer, by their roles. */
export function layerWeights(w: Weights, layer: number): LayerWeights {
  const linear = (role: string): Linear => getLinear(w, `layers.${layer}.${role}`);
  const found = (role: string): Norm | undefined => findNorm(w, `layers.${layer}.${role}`);
  return {
    attentionNorm: found("attentionNorm"),
    attention: {
      query: linear("query"),
      key: linear("key"),
      value: linear("value"),
      output: linear("output"),
      queryNorm: found("queryNorm"),
      keyNorm: found("keyNorm"),
    },
    attentionPostNorm: found("attentionPostNorm"),
    attentionSumNorm: found("attentionSumNorm"),
    cross: found("crossQuery") && {
      norm: found("crossNorm"),
      block: { query: linear("crossQuery"), output: linear("crossOutput") },
      sumNorm: found("crossSumNorm"),
    },
    feedForwardNorm: found("feedForwardNorm"),
    feedForward: w.find(`layers.${layer}.router.weight`)
      ? expertsWeights(linear, found)
      : blockWeights("", linear, found),
    feedForwardPostNorm: found("feedForwardPostNorm"),
    feedForwardSumNorm: found("feedForwardSumNorm"),
  };
}

type Find<T> = (role: string) => T;

function blockWeights(
  prefix: string,
  linear: Find<Linear>,
  found: Find<Linear | undefined>,
): FeedForwardWeights {
  return { gate: found(`${prefix}gate`), up: linear(`${prefix}up`), down: linear(`${prefix}down`) };
}

function expertsWeights(linear: Find<Linear>, found: Find<Linear | undefined>): ExpertsWeights {
  const [gate, up, down] = ["gate", "up", "down"].map((role) => linear(`experts.${role}`).weight);
  const router = found("shared.router");
  return {
    router: linear("router"),
    gate,
    up,
    down,
    ...(router ? { shared: { router, block: blockWeights("shared.", linear, found) } } : {}),
  };
}
