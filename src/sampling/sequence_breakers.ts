/**
 * Texts across which DRY sees no repetition, as the tokens that contain them.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { SamplingOptions } from "./options.ts";

/** Where a sentence, a speaker, a quotation or an emphasis ends, as in llama.cpp. */
const DEFAULT_BREAKERS = ["\n", ":", '"', "*"];

/** Bytes as characters of the same number, so that strings can be searched for bytes. */
const byteText = new TextDecoder("latin1");

/**
 * Options in which DRY's breakers are token ids: a text stands for every token that contains it. Other options stay.
 *
 * @throws {InvalidArgumentError} where no token contains a text that was asked for.
 */
export function withBreakerIds<Options extends SamplingOptions>(
  options: Options,
  tokenizer: Pick<Tokenizer, "vocabSize" | "bytes"> | undefined,
): Options {
  const given = options.drySequenceBreakers;
  if (!options.dryMultiplier || !tokenizer) return options;
  const texts = (given ?? DEFAULT_BREAKERS).filter((breaker) => typeof breaker === "string");
  const found = remembered(texts, tokenizer);
  const missing = texts.find((text) => found.get(text)?.length === 0);
  if (given && missing !== undefined) {
    throw new InvalidArgumentError(
      `no token contains the sequence breaker ${
        JSON.stringify(missing)
      }; give the ids of its tokens as a list`,
    );
  }
  const ids = (given ?? []).filter((breaker) => typeof breaker !== "string");
  return { ...options, drySequenceBreakers: [...ids, ...new Set([...found.values()].flat())] };
}

/** What was last looked for in a vocabulary: all of it is read for that, and generations mostly want the same. */
const last = new WeakMap<object, { readonly key: string; readonly found: Map<string, number[]> }>();

function remembered(
  texts: readonly string[],
  tokenizer: Pick<Tokenizer, "vocabSize" | "bytes">,
): Map<string, number[]> {
  const key = JSON.stringify(texts);
  const known = last.get(tokenizer);
  if (known?.key === key) return known.found;
  const found = tokensThatContain(texts, tokenizer);
  last.set(tokenizer, { key, found });
  return found;
}

function tokensThatContain(
  texts: readonly string[],
  tokenizer: Pick<Tokenizer, "vocabSize" | "bytes">,
): Map<string, number[]> {
  const encoder = new TextEncoder();
  const wanted = texts.map((text) => ({ text, bytes: byteText.decode(encoder.encode(text)) }));
  const found = new Map(texts.map((text): [string, number[]] => [text, []]));
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const token = byteText.decode(tokenizer.bytes(id));
    for (const { text, bytes } of wanted) if (text !== "" && token.includes(bytes)) found.get(text)?.push(id);
  }
  return found;
}
