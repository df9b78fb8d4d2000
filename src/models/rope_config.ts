/**
 * Reads a model's rotary embedding from `config.json`, old style or new, or from GGUF metadata.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";
import {
  longRopeAttentionFactor,
  type RopeConfig,
  type RopeScaling,
  yarnAttentionFactor,
} from "../nn/rope.ts";
import type { ConfigReader } from "./config_reader.ts";

/** What the rotary embedding depends on beside its own fields. */
export interface RopePlace {
  /** Width of a head. */
  readonly headDim: number;
  /** Context of the model, in tokens. */
  readonly contextLength: number;
  /** Rotary pairs are neighbours instead of halves. */
  readonly interleaved: boolean;
}

/** Tensors in GGUF files that hold divisors of the frequencies. */
export const ROPE_TENSORS: readonly string[] = [
  "rope_freqs.weight",
  "rope_factors_long.weight",
  "rope_factors_short.weight",
];

/** transformers 5 writes `rope_parameters`, by kind of layer where there are two; 4.x wrote `rope_theta` and `rope_scaling`. */
export function huggingFaceRope(read: ConfigReader, place: RopePlace): RopeConfig {
  const outer = read.object("rope_parameters");
  const parameters = outer?.object("full_attention") ?? outer;
  return ropeConfig(read, parameters ?? read, parameters ?? read.object("rope_scaling"), place);
}

/** Rotary embedding of layers with a window, where `rope_parameters` has one of their own. */
export function huggingFaceLocalRope(read: ConfigReader, place: RopePlace): RopeConfig | undefined {
  const parameters = read.object("rope_parameters")?.object("sliding_attention");
  return parameters && ropeConfig(read, parameters, parameters, place);
}

function ropeConfig(
  model: ConfigReader,
  read: ConfigReader,
  scaling: ConfigReader | undefined,
  place: RopePlace,
): RopeConfig {
  const fraction = read.positive("partial_rotary_factor", model.positive("partial_rotary_factor", 1));
  return checkFactors({
    theta: read.positive("rope_theta", model.positive("rope_theta", 10000)),
    rotaryDim: Math.floor(place.headDim * fraction),
    interleaved: place.interleaved,
    scaling: scaling ? huggingFaceScaling(model, scaling, place) : { kind: "none" },
  });
}

/** Kinds of `rope_type`; `su` is what longrope was first called. */
const SCALINGS: Readonly<
  Record<string, (read: ConfigReader, original: number, place: RopePlace) => RopeScaling>
> = {
  default: () => ({ kind: "none" }),
  linear: (read) => ({ kind: "linear", factor: read.positive("factor") }),
  dynamic: (read) => ({ kind: "dynamic", factor: read.positive("factor") }),
  llama3: (read, originalContext) => ({
    kind: "llama3",
    factor: read.positive("factor"),
    lowFrequencyFactor: read.positive("low_freq_factor"),
    highFrequencyFactor: read.positive("high_freq_factor"),
    originalContext,
  }),
  yarn(read, originalContext, { contextLength }) {
    const factor = read.positive("factor", contextLength / originalContext);
    const [scale, all] = [read.number("mscale", 0), read.number("mscale_all_dim", 0)];
    const natural = scale && all
      ? yarnAttentionFactor(factor, scale) / yarnAttentionFactor(factor, all)
      : yarnAttentionFactor(factor);
    return {
      kind: "yarn",
      factor,
      betaFast: read.positive("beta_fast", 32),
      betaSlow: read.positive("beta_slow", 1),
      truncate: read.bool("truncate", true),
      originalContext,
      attentionFactor: read.positive("attention_factor", natural),
    };
  },
  longrope(read, originalContext, { contextLength }) {
    const factor = read.positive("factor", contextLength / originalContext);
    return {
      kind: "longrope",
      short: read.numbers("short_factor") ?? [],
      long: read.numbers("long_factor") ?? [],
      originalContext,
      attentionFactor: read.positive(
        "attention_factor",
        longRopeAttentionFactor(factor, originalContext),
      ),
    };
  },
};

function huggingFaceScaling(model: ConfigReader, read: ConfigReader, place: RopePlace): RopeScaling {
  const named = read.string("rope_type", read.string("type", "default"));
  const kind = SCALINGS[named === "su" ? "longrope" : named];
  if (!kind) {
    const known = Object.keys(SCALINGS).join(", ");
    throw new InvalidConfigError("rope_type", `${named} is not known; known are ${known}`);
  }
  const field = "original_max_position_embeddings";
  return kind(read, read.int(field, model.int(field, place.contextLength)), place);
}

/** Fields of GGUF, as llama.cpp reads them. */
export function ggufRope(
  read: ConfigReader,
  { headDim, contextLength, interleaved }: RopePlace,
  tensors: ReadonlyMap<string, Float32Array>,
): RopeConfig {
  const kind = read.string("rope.scaling.type", "none");
  const originalContext = read.int("rope.scaling.original_context_length", contextLength);
  const [long, short] = [tensors.get("rope_factors_long.weight"), tensors.get("rope_factors_short.weight")];
  const factors = tensors.get("rope_freqs.weight");
  const scalings: Readonly<Record<string, () => RopeScaling>> = {
    none: () => ({ kind: "none" }),
    longrope: () => ({ kind: "none" }),
    linear: () => ({ kind: "linear", factor: read.positive("rope.scaling.factor") }),
    yarn() {
      const factor = read.positive("rope.scaling.factor");
      return {
        kind: "yarn",
        factor,
        betaFast: read.positive("rope.scaling.yarn_beta_fast", 32),
        betaSlow: read.positive("rope.scaling.yarn_beta_slow", 1),
        truncate: true,
        originalContext,
        attentionFactor: read.positive("rope.scaling.attn_factor", 1) * yarnAttentionFactor(factor),
      };
    },
  };
  const scaling: RopeScaling = long && short
    ? {
      kind: "longrope",
      short: [...short],
      long: [...long],
      originalContext,
      attentionFactor: read.positive(
        "rope.scaling.attn_factor",
        longRopeAttentionFactor(contextLength / originalContext, originalContext),
      ),
    }
    : factors
    ? { kind: "factors", factors: [...factors] }
    : (scalings[kind] ?? unknownScaling(kind, Object.keys(scalings)))();
  return checkFactors({
    theta: read.positive("rope.freq_base", 10000),
    rotaryDim: read.int("rope.dimension_count", headDim),
    interleaved,
    scaling,
  });
}

function unknownScaling(kind: string, known: readonly string[]): never {
  throw new InvalidConfigError("rope.scaling.type", `${kind} is not known; known are ${known.join(", ")}`);
}

/** There must be a divisor for every frequency. */
function checkFactors(rope: RopeConfig): RopeConfig {
  const { scaling, rotaryDim } = rope;
  const lists: Readonly<Record<string, readonly number[]>> = scaling.kind === "longrope"
    ? { short_factor: scaling.short, long_factor: scaling.long }
    : scaling.kind === "factors"
    ? { rope_freqs: scaling.factors }
    : {};
  for (const [field, list] of Object.entries(lists)) {
    if (list.length !== rotaryDim / 2 || list.some((factor) => !(factor > 0))) {
      throw new InvalidConfigError(field, `must be ${rotaryDim / 2} numbers above zero`);
    }
  }
  return rope;
}
