/**
 * A decoder's configuration as GGUF metadata, by the keys that llama.cpp reads.
 *
 * @module
 */
import type { GgufValue } from "../formats/gguf_values.ts";
import { tensorOfBytes, type TensorOut } from "../formats/tensor_out.ts";
import { ACTIVATION_NAMES, type DecoderConfig, GGUF_POOLINGS, GGUF_RANKING } from "../models/config.ts";
import {
  inverseFrequencies,
  type LongRopeScaling,
  type RopeConfig,
  yarnAttentionFactor,
} from "../nn/rope.ts";

const f32 = (value: number): GgufValue => ({ type: "f32", value });

/** Metadata by key; keys of the architecture begin with its name. */
export type GgufFields = Readonly<Record<string, GgufValue>>;

/** The keys of a configuration, for the architecture of this name. */
export function ggufConfig(architecture: string, c: DecoderConfig): GgufFields {
  const { rope, localRope, experts, norm, encoder, relativeBias } = c;
  const rms = norm.kind === "rms" ? "_rms" : "";
  const window = Math.max(...c.windows);
  const fields: Record<string, GgufValue | undefined> = {
    context_length: c.contextLength,
    embedding_length: c.hiddenSize,
    block_count: encoder?.layers ?? c.layers,
    decoder_block_count: encoder && c.layers,
    feed_forward_length: c.intermediateSize,
    vocab_size: c.vocabSize,
    "attention.head_count": c.heads,
    "attention.head_count_kv": c.kvHeads,
    "attention.key_length": c.headDim,
    "attention.value_length": c.headDim,
    [`attention.layer_norm${rms}_epsilon`]: f32(norm.eps),
    "attention.sliding_window": window || undefined,
    "attention.sliding_window_pattern": windowPeriod(c.windows),
    "attention.causal": c.kind === "encoder" ? false : undefined,
    "attention.relative_buckets_count": relativeBias?.buckets,
    // llama.cpp has this one for all models, and no key for it.
    "attention.relative_max_distance": relativeBias?.maxDistance === 128
      ? undefined
      : relativeBias?.maxDistance,
    decoder_start_token_id: c.decoderStartId,
    // A tied head works on smaller numbers, unless it is said otherwise; llama.cpp does not look at it.
    scale_decoder_outputs: encoder && c.tiedHead !== (c.logitScale !== 1) ? c.logitScale !== 1 : undefined,
    pooling_type: poolingCode(c),
    attn_logit_softcapping: c.attentionSoftcap ? f32(c.attentionSoftcap) : undefined,
    final_logit_softcapping: c.logitSoftcap ? f32(c.logitSoftcap) : undefined,
    "attention.max_alibi_bias": c.alibi && f32(c.alibi.maxBias),
    ...(rope && ropeFields(rope)),
    "rope.freq_base_swa": localRope && f32(localRope.theta),
    use_parallel_residual: c.parallelResidual,
    expert_count: experts?.count,
    expert_used_count: experts?.used,
    expert_feed_forward_length: experts?.intermediateSize,
    expert_shared_feed_forward_length: experts?.sharedSize || undefined,
    expert_weights_norm: experts?.normalized,
  };
  return {
    "general.architecture": architecture,
    ...Object.fromEntries(
      Object.entries(fields).filter((field): field is [string, GgufValue] => field[1] !== undefined)
        .map(([key, value]) => [`${architecture}.${key}`, value]),
    ),
  };
}

/** The activation, for families that have more than one; llama.cpp does not look at it. */
export function activationField(architecture: string, { activation }: DecoderConfig): GgufFields {
  const name = Object.entries(ACTIVATION_NAMES).find(([, kind]) => kind === activation)?.[0];
  return name === undefined ? {} : { [`${architecture}.hidden_act`]: name };
}

function poolingCode({ labels, pooling }: DecoderConfig): number | undefined {
  if (labels !== undefined) return GGUF_RANKING;
  const code = pooling === undefined ? -1 : GGUF_POOLINGS.indexOf(pooling);
  return code < 0 ? undefined : code;
}

/** Every so many layers one sees all tokens; absent where no layer, or each, has a window. */
function windowPeriod(windows: readonly number[]): number | undefined {
  const first = windows.findIndex((window) => window === 0);
  return first > 0 ? first + 1 : undefined;
}

function ropeFields(rope: RopeConfig): Record<string, GgufValue | undefined> {
  const { scaling } = rope;
  const common = { "rope.freq_base": f32(rope.theta), "rope.dimension_count": rope.rotaryDim };
  switch (scaling.kind) {
    case "linear":
      return { ...common, "rope.scaling.type": "linear", "rope.scaling.factor": f32(scaling.factor) };
    case "yarn":
      return {
        ...common,
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": f32(scaling.factor),
        "rope.scaling.original_context_length": scaling.originalContext,
        // The factor that follows from the scaling is multiplied in when the file is read.
        "rope.scaling.attn_factor": f32(scaling.attentionFactor / yarnAttentionFactor(scaling.factor)),
        "rope.scaling.yarn_beta_fast": f32(scaling.betaFast),
        "rope.scaling.yarn_beta_slow": f32(scaling.betaSlow),
      };
    case "longrope":
      if (isPlainFactors(scaling)) return common;
      return {
        ...common,
        "rope.scaling.original_context_length": scaling.originalContext,
        "rope.scaling.attn_factor": f32(scaling.attentionFactor),
      };
    default:
      return common;
  }
}

/** One list of divisors for every length, and nothing else: GGUF has a tensor for that. */
function isPlainFactors({ short, long, attentionFactor }: LongRopeScaling): boolean {
  return attentionFactor === 1 && short.every((factor, i) => factor === long[i]);
}

/** Divisors of frequencies are tensors in GGUF. */
export function ropeTensors({ rope, contextLength }: DecoderConfig): TensorOut[] {
  const scaling = rope?.scaling;
  if (!rope || !scaling) return [];
  if (scaling.kind === "longrope" && isPlainFactors(scaling)) {
    return [floats("rope_freqs.weight", scaling.long)];
  }
  if (scaling.kind === "longrope") {
    return [
      floats("rope_factors_long.weight", scaling.long),
      floats("rope_factors_short.weight", scaling.short),
    ];
  }
  if (scaling.kind === "factors") return [floats("rope_freqs.weight", scaling.factors)];
  if (scaling.kind !== "llama3") return [];
  const plain = inverseFrequencies({ ...rope, scaling: { kind: "none" } }, contextLength);
  const scaled = inverseFrequencies(rope, contextLength);
  return [floats("rope_freqs.weight", plain.map((frequency, i) => frequency / scaled[i]))];
}

function floats(name: string, values: readonly number[]): TensorOut {
  return tensorOfBytes(name, "f32", [values.length], new Uint8Array(Float32Array.from(values).buffer));
}
