/**
 * Rotary position embedding: the inverse frequencies of a model, with its context scaling applied.
 *
 * @module
 */

/** How a model stretches its rotary frequencies beyond the context it was first trained on. */
export type RopeScaling =
  | { readonly kind: "none" }
  /** Every frequency divided by `factor`. */
  | { readonly kind: "linear"; readonly factor: number }
  /** Llama 3.1: long wavelengths divided by `factor`, short ones kept, a smooth ramp between. */
  | {
    readonly kind: "llama3";
    readonly factor: number;
    readonly lowFrequencyFactor: number;
    readonly highFrequencyFactor: number;
    /** Context of the first training, in tokens. */
    readonly originalContext: number;
  }
  /** Divisors by frequency, as GGUF files carry them in `rope_freqs.weight`. */
  | { readonly kind: "factors"; readonly factors: readonly number[] };

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

/** Inverse frequencies, `rotaryDim / 2` of them: radians per position. */
export function inverseFrequencies(rope: RopeConfig): number[] {
  const { theta, rotaryDim, scaling } = rope;
  const plain = Array.from({ length: rotaryDim / 2 }, (_, i) => theta ** (-2 * i / rotaryDim));
  switch (scaling.kind) {
    case "none":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "factors":
      return plain.map((frequency, i) => frequency / scaling.factors[i]);
    case "llama3":
      return plain.map((frequency) => scaleLlama3(frequency, scaling));
  }
}

// transformers, modeling_rope_utils, "llama3"
function scaleLlama3(frequency: number, scaling: RopeScaling & { kind: "llama3" }): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  const wavelength = 2 * Math.PI / frequency;
  if (wavelength < originalContext / highFrequencyFactor) return frequency;
  if (wavelength > originalContext / lowFrequencyFactor) return frequency / factor;
  const smooth = (originalContext / wavelength - lowFrequencyFactor) /
    (highFrequencyFactor - lowFrequencyFactor);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}
