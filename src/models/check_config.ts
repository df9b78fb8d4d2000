/**
 * What the fields of a configuration must be to each other.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";
import type { RelativeBiasConfig } from "../nn/relative_bias.ts";
import type { DecoderConfig } from "./config.ts";

/** Largest distance that a relative bias may tell apart. */
const MAX_DISTANCE = 65536;

/** Checks what single fields cannot tell. */
export function checkDecoderConfig(config: DecoderConfig): DecoderConfig {
  const { heads, kvHeads, headDim, rope, localRope, vocabSize, relativeBias } = config;
  if (relativeBias) checkRelativeBias(relativeBias);
  if (heads % kvHeads !== 0) {
    throw new InvalidConfigError("num_key_value_heads", `${heads} heads are no multiple of ${kvHeads}`);
  }
  for (const rotary of [rope?.rotaryDim, localRope?.rotaryDim]) {
    if (rotary !== undefined && (rotary > headDim || rotary % 2 !== 0 || rotary < 2)) {
      throw new InvalidConfigError("rotary_dim", `${rotary} must be even and at most the head's ${headDim}`);
    }
  }
  for (const id of config.eosIds) {
    if (id >= vocabSize) {
      throw new InvalidConfigError("eos_token_id", `${id} is outside the vocabulary of ${vocabSize}`);
    }
  }
  return config;
}

function checkRelativeBias({ buckets, maxDistance }: RelativeBiasConfig): void {
  // Near distances have half of the buckets, one each; the others start behind them.
  if (buckets % 2 !== 0 || maxDistance <= buckets / 2 || maxDistance > MAX_DISTANCE) {
    const range = `must be above half of the ${buckets} buckets, an even number, and at most ${MAX_DISTANCE}`;
    throw new InvalidConfigError("relative_attention_max_distance", `${range}, and is ${maxDistance}`);
  }
}
