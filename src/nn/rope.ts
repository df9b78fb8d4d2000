/**
 * Rotary position embedding: the inverse frequencies of a model, with its context scaling applied.
 *
 * Formulas are those of transformers' `modeling_rope_utils.py`.
 *
 * @module
 */

/** How a model stretches its rotary frequencies beyond the context it was first trained on. */
export type RopeScaling =
  | { readonly kind: "none" }
  /** Every frequency divided by `factor`. */
  | { readonly kind: "linear"; readonly factor: number }
  /**
   * A base that grows once a sequence is longer than the model's context. A context is never longer here, and up to
   * there the base is the plain one, so this changes nothing.
   */
  | { readonly kind: "dynamic"; readonly factor: number }
  | YarnScaling
  | LongRopeScaling
  | Llama3Scaling
  /** Divisors by frequency, as GGUF files carry them in `rope_freqs.weight`. */
  | { readonly kind: "factors"; readonly factors: readonly number[] };

/** Llama 3.1: long wavelengths divided by `factor`, short ones kept, a smooth ramp between. */
export interface Llama3Scaling {
  /** Which scaling this is. */
  readonly kind: "llama3";
  /** Divisor of the long wavelengths. */
  readonly factor: number;
  /** The original context divided by the shortest of the long wavelengths. */
  readonly lowFrequencyFactor: number;
  /** The original context divided by the longest of the short wavelengths. */
  readonly highFrequencyFactor: number;
  /** Context of the first training, in tokens. */
  readonly originalContext: number;
}

/** YaRN: as llama3, with the ramp over the index of the frequency. */
export interface YarnScaling {
  /** Which scaling this is. */
  readonly kind: "yarn";
  /** Divisor of the long wavelengths. */
  readonly factor: number;
  /** Turns in the original context above which a frequency is kept. */
  readonly betaFast: number;
  /** Turns in the original context below which a frequency is divided. */
  readonly betaSlow: number;
  /** The ends of the ramp are rounded to whole indexes. */
  readonly truncate: boolean;
  /** Context of the first training, in tokens. */
  readonly originalContext: number;
  /** Factor of all cosines and sines. */
  readonly attentionFactor: number;
}

/**
 * LongRoPE: divisors by frequency, one list for sequences within the original context and one for longer ones. Keys
 * are stored rotated, so one list serves a whole loaded model: the short one where the context that was loaded is at
 * most the original one, else the long one.
 */
export interface LongRopeScaling {
  /** Which scaling this is. */
  readonly kind: "longrope";
  /** Divisors up to the original context. */
  readonly short: readonly number[];
  /** Divisors beyond it. */
  readonly long: readonly number[];
  /** Context of the first training, in tokens. */
  readonly originalContext: number;
  /** Factor of all cosines and sines. */
  readonly attentionFactor: number;
}

/** Rotary embedding of a model. */
export interface RopeConfig {
  /** Base of the frequencies. */
  readonly theta: number;
  /** Elements of a head that are rotated; even. */
  readonly rotaryDim: number;
  /** Pairs are neighbours (GGUF llama files) instead of halves (Hugging Face). */
  readonly interleaved: boolean;
  /** Context scaling. */
  readonly scaling: RopeScaling;
}

/** Inverse frequencies, `rotaryDim / 2` of them: radians per position. `context`: longest sequence, in tokens. */
export function inverseFrequencies(rope: RopeConfig, context: number): number[] {
  const { theta, rotaryDim, scaling } = rope;
  const plain = Array.from({ length: rotaryDim / 2 }, (_, i) => theta ** (-2 * i / rotaryDim));
  switch (scaling.kind) {
    case "none":
    case "dynamic":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "factors":
      return plain.map((frequency, i) => frequency / scaling.factors[i]);
    case "longrope": {
      const factors = context > scaling.originalContext ? scaling.long : scaling.short;
      return plain.map((frequency, i) => frequency / factors[i]);
    }
    case "yarn":
      return scaleYarn(plain, rope, scaling);
    case "llama3":
      return plain.map((frequency) => scaleLlama3(frequency, scaling));
  }
}

/** Factor of the cosines and sines. */
export function ropeScale({ scaling }: RopeConfig): number {
  return "attentionFactor" in scaling ? scaling.attentionFactor : 1;
}

/** YaRN's attention factor where a model does not give one. */
export function yarnAttentionFactor(factor: number, scale = 1): number {
  return factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;
}

/** LongRoPE's attention factor where a model does not give one. */
export function longRopeAttentionFactor(factor: number, originalContext: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContext));
}

function scaleLlama3(frequency: number, scaling: Llama3Scaling): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  const wavelength = 2 * Math.PI / frequency;
  if (wavelength < originalContext / highFrequencyFactor) return frequency;
  if (wavelength > originalContext / lowFrequencyFactor) return frequency / factor;
  const smooth = (originalContext / wavelength - lowFrequencyFactor) /
    (highFrequencyFactor - lowFrequencyFactor);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

function scaleYarn(
  plain: readonly number[],
  { theta, rotaryDim }: RopeConfig,
  scaling: YarnScaling,
): number[] {
  const { factor, betaFast, betaSlow, truncate, originalContext } = scaling;
  /** Index of the frequency that makes so many turns in the original context. */
  const indexOf = (turns: number): number =>
    rotaryDim * Math.log(originalContext / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
  const [first, last] = [indexOf(betaFast), indexOf(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, rotaryDim - 1);
  // The 0.001 keeps a ramp of no width from dividing by zero.
  const width = high === low ? 0.001 : high - low;
  return plain.map((frequency, i) => {
    const ramp = Math.min(Math.max((i - low) / width, 0), 1);
    return frequency / factor * ramp + frequency * (1 - ramp);
  });
}
