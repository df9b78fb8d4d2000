/**
 * All architectures, and how to find one by name.
 *
 * @module
 */
import { UnsupportedModelError } from "../errors.ts";
import type { Architecture } from "./architecture.ts";
import { bart } from "./bart.ts";
import { bert } from "./bert.ts";
import { bloom } from "./bloom.ts";
import { falcon } from "./falcon.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gpt2 } from "./gpt2.ts";
import { gptNeox } from "./gpt_neox.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { mixtral } from "./mixtral.ts";
import { mpt } from "./mpt.ts";
import { olmo2 } from "./olmo2.ts";
import { phi } from "./phi.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen2Moe } from "./qwen2_moe.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3Moe } from "./qwen3_moe.ts";
import { roberta } from "./roberta.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { t5 } from "./t5.ts";
import { t5Encoder } from "./t5_encoder.ts";

/** The architectures this version knows. */
export const ARCHITECTURES: readonly Architecture[] = [
  bart,
  bert,
  bloom,
  falcon,
  gemma,
  gemma2,
  gemma3,
  gpt2,
  gptNeox,
  llama,
  mistral,
  mixtral,
  mpt,
  olmo2,
  phi,
  phi3,
  qwen2,
  qwen2Moe,
  qwen3,
  qwen3Moe,
  roberta,
  smollm3,
  stablelm,
  t5,
  t5Encoder,
];

/**
 * Finds an architecture by GGUF `general.architecture`, Hugging Face class name or `model_type`; the first name that is
 * known counts.
 *
 * @throws {UnsupportedModelError} where none has any of the names.
 */
export function findArchitecture(names: readonly string[]): Architecture {
  for (const name of names) {
    const found = ARCHITECTURES.find(({ ids }) => ids.includes(name));
    if (found) return found;
  }
  const known = ARCHITECTURES.map((architecture) => architecture.ids[0]).join(", ");
  throw new UnsupportedModelError(
    `the architecture ${names.join(" / ") || "(none named)"} is not known; known: ${known}`,
  );
}
