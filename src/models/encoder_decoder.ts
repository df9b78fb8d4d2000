/**
 * Encoder–decoders: two stacks, each with its table of names, whose weights stand side by side in a file.
 *
 * @module
 */
import type { Architecture, WeightEntry, Weights } from "./architecture.ts";
import { type DecoderConfig, encoderConfig } from "./config.ts";
import { type AnyNames, buildStack, decoderArchitecture, type DecoderFamily, namesOf } from "./decoder.ts";
import { decoderWeights } from "./weight_entries.ts";

/** A family of encoder–decoders; what it has of a decoder's family is about the decoder. */
export interface EncoderDecoderFamily extends DecoderFamily<AnyNames> {
  /** Names of the encoder's weights; the embedding is in the decoder's table. */
  readonly encoderNames: AnyNames;
  /** Weights that no table has. */
  extraWeights?(config: DecoderConfig): WeightEntry[];
}

/** What the encoder's weights begin with in Programs. */
const ENCODER = "encoder.";

/** The architecture of a family. */
export function encoderDecoderArchitecture(family: EncoderDecoderFamily): Architecture {
  const decoder = decoderArchitecture(family);
  return {
    ...decoder,
    config: (metadata) => ({ ...decoder.config(metadata), kind: "encoder-decoder" }),
    weights: (config) => [
      ...decoder.weights(config),
      ...(family.extraWeights?.(config) ?? []),
      ...decoderWeights(namesOf(family.encoderNames, config), encoderConfig(config))
        .map((entry) => ({ ...entry, name: ENCODER + entry.name })),
    ],
    encode: (g, weights, config, inputs) => buildStack(g, encoderWeights(weights), config, inputs),
  };
}

/** The weights of the encoder by the names that a stack asks for. */
function encoderWeights({ get, find }: Weights): Weights {
  const nameOf = (name: string): string => (name === "embedding.weight" ? name : ENCODER + name);
  return { get: (name) => get(nameOf(name)), find: (name) => find(nameOf(name)) };
}
