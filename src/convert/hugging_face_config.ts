/**
 * A decoder's configuration as `config.json`, by the names that transformers reads.
 *
 * @module
 */
import type { Architecture } from "../models/architecture.ts";
import { ACTIVATION_NAMES, type DecoderConfig } from "../models/config.ts";
import { findArchitecture } from "../models/mod.ts";
import type { RopeConfig } from "../nn/rope.ts";
import { UnsupportedModelError } from "../errors.ts";

/** The Hugging Face family of a model: GGUF files of three families call themselves llama, of two bert. */
export function huggingFaceFamily(architecture: Architecture, c: DecoderConfig): Architecture {
  const gguf = architecture.files?.gguf;
  if (gguf === "bert") return findArchitecture([c.positionOffset ? "roberta" : "bert"]);
  if (gguf !== "llama") return architecture;
  const windows = c.windows.some((window) => window > 0);
  return findArchitecture([c.experts ? "mixtral" : windows ? "mistral" : "llama"]);
}

/** The fields of `config.json`. `has` tells whether the model has a weight. */
export function huggingFaceConfig(
  { ids, files }: Architecture,
  c: DecoderConfig,
  has: (weight: string) => boolean,
): Record<string, unknown> {
  if (!files) {
    throw new UnsupportedModelError(`models of ${ids[0]} cannot be renamed; keep the format's family`);
  }
  const named = (fields: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(fields).filter(([, value]) => value !== undefined)
        .map(([name, value]) => [files.fields[name]?.[0] ?? name, value]),
    );
  return {
    architectures: ids.filter((id) => /(ForCausalLM|LMHeadModel)$/.test(id)).slice(0, 1),
    model_type: ids[0],
    ...named({
      vocab_size: c.vocabSize,
      hidden_size: c.hiddenSize,
      intermediate_size: c.intermediateSize,
      num_hidden_layers: c.layers,
      num_attention_heads: c.heads,
      num_key_value_heads: c.kvHeads,
      // Some classes have a property of this name and refuse to set it.
      head_dim: c.headDim === c.hiddenSize / c.heads ? undefined : c.headDim,
      max_position_embeddings: c.contextLength,
      [c.norm.kind === "rms" ? "rms_norm_eps" : "layer_norm_eps"]: c.norm.eps,
      hidden_act: activationName(c),
      ...windowFields(c, files.layerTypes),
      attn_logit_softcapping: c.attentionSoftcap || undefined,
      final_logit_softcapping: c.logitSoftcap || undefined,
      ...(c.rope ? ropeFields(c.rope, c) : {}),
      ...expertFields(c),
      tie_word_embeddings: c.tiedHead,
      // The classes have ids of their own where nothing is said.
      bos_token_id: c.bosId ?? null,
      eos_token_id: c.eosIds.length > 1 ? c.eosIds : c.eosIds[0] ?? null,
      pad_token_id: null,
    }),
    ...files.huggingFace?.(c, has),
  };
}

/** Fields that are no whole numbers by their type: transformers refuses 30 where it wants 30.0. */
const FLOATS = [
  ...["attn_logit_softcapping", "final_logit_softcapping", "rope_theta", "rope_local_base_freq", "factor"],
  ...["low_freq_factor", "high_freq_factor", "attention_factor", "partial_rotary_factor", "rotary_pct"],
];
const WHOLE_FLOAT = new RegExp(`("(?:${FLOATS.join("|")})": \\d+)(?=[,\\s}])`, "g");

/** The text of a JSON file. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, undefined, 2) + "\n";
}

/** The text of `config.json`. */
export function configText(fields: Readonly<Record<string, unknown>>): string {
  return jsonText(fields).replaceAll(WHOLE_FLOAT, "$1.0");
}

function activationName({ activation }: DecoderConfig): string | undefined {
  // GPT-2's name of the tanh form is the one that all families take.
  if (activation === "geluTanh") return "gelu_new";
  return Object.entries(ACTIVATION_NAMES).find(([, kind]) => kind === activation)?.[0];
}

function windowFields({ windows }: DecoderConfig, layerTypes: boolean): Record<string, unknown> {
  const window = Math.max(...windows);
  if (window === 0) return {};
  if (!layerTypes && windows.every((width) => width === window)) return { sliding_window: window };
  const types = windows.map((width) => width > 0 ? "sliding_attention" : "full_attention");
  return { sliding_window: window, use_sliding_window: true, layer_types: types };
}

function expertFields({ experts }: DecoderConfig): Record<string, unknown> {
  return experts
    ? {
      num_local_experts: experts.count,
      num_experts_per_tok: experts.used,
      moe_intermediate_size: experts.intermediateSize,
      shared_expert_intermediate_size: experts.sharedSize || undefined,
      norm_topk_prob: experts.normalized,
    }
    : {};
}

function ropeFields(rope: RopeConfig, { headDim, contextLength }: DecoderConfig): Record<string, unknown> {
  return {
    rope_theta: rope.theta,
    partial_rotary_factor: rope.rotaryDim === headDim ? undefined : rope.rotaryDim / headDim,
    rope_scaling: scalingFields(rope, contextLength),
  };
}

function scalingFields({ scaling }: RopeConfig, contextLength: number): Record<string, unknown> | undefined {
  switch (scaling.kind) {
    case "none":
      return undefined;
    case "linear":
    case "dynamic":
      return { rope_type: scaling.kind, factor: scaling.factor };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalContext,
      };
    case "yarn":
      return {
        rope_type: "yarn",
        factor: scaling.factor,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        truncate: scaling.truncate,
        original_max_position_embeddings: scaling.originalContext,
        attention_factor: scaling.attentionFactor,
      };
    case "longrope":
      return longRope(scaling.short, scaling.long, scaling.originalContext, scaling.attentionFactor);
    case "factors":
      // Divisors that hold for every length are LongRoPE with one list for both.
      return longRope(scaling.factors, scaling.factors, contextLength, 1);
  }
}

function longRope(
  short: readonly number[],
  long: readonly number[],
  originalContext: number,
  attentionFactor: number,
): Record<string, unknown> {
  return {
    rope_type: "longrope",
    short_factor: short,
    long_factor: long,
    original_max_position_embeddings: originalContext,
    attention_factor: attentionFactor,
  };
}
