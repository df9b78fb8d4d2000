/**
 * The sampling that a model's files recommend, in the words of both namings. `samplingDefaults` reads them.
 *
 * @module
 */
import type { JsonObject } from "../formats/json.ts";
import type { SamplingOptions } from "../sampling/sampler.ts";
import type { GgufFields } from "./gguf_config.ts";

/** An option's field of `generation_config.json`, and its key behind `general.sampling.` with the type of its value. */
const WORDS = {
  temperature: ["temperature", "temp", "f32"],
  topK: ["top_k", "top_k", "i32"],
  topP: ["top_p", "top_p", "f32"],
  minP: ["min_p", "min_p", "f32"],
  // llama.cpp has no key for this one.
  typicalP: ["typical_p", "typical_p", "f32"],
  repetitionPenalty: ["repetition_penalty", "penalty_repeat", "f32"],
} as const satisfies Partial<Record<keyof SamplingOptions, readonly [string, string, "f32" | "i32"]>>;

const OPTIONS = Object.keys(WORDS) as (keyof typeof WORDS)[];

/** As GGUF metadata. */
export function ggufSampling(options: SamplingOptions): GgufFields {
  const fields = OPTIONS.flatMap((option) => {
    const [, key, type] = WORDS[option];
    const value = options[option];
    return value === undefined ? [] : [[`general.sampling.${key}`, { type, value }] as const];
  });
  // The whole text, as `generation_config.json` has it.
  const window = options.repetitionPenalty === undefined ? [] : [WHOLE_TEXT];
  return Object.fromEntries([...fields, ...window]);
}

const WHOLE_TEXT = ["general.sampling.penalty_last_n", { type: "i32", value: -1 }] as const;

/** As fields of `generation_config.json`; a penalty alone draws nothing. */
export function huggingFaceSampling(options: SamplingOptions): JsonObject {
  const given = OPTIONS.filter((option) => options[option] !== undefined);
  const draws = given.some((option) => option !== "repetitionPenalty");
  return {
    ...(draws ? { do_sample: true } : {}),
    ...Object.fromEntries(given.map((option) => [WORDS[option][0], options[option]])),
  };
}
