/**
 * All architectures, and how to find one by name.
 *
 * @module
 */
import { UnsupportedModelError } from "../errors.ts";
import type { Architecture } from "./architecture.ts";
import { gpt2 } from "./gpt2.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";

/** The architectures this version knows. */
export const ARCHITECTURES: readonly Architecture[] = [gpt2, llama, mistral, qwen2, qwen3];

/**
 * Finds an architecture by `model_type`, GGUF `general.architecture` or Hugging Face class name.
 *
 * @throws {UnsupportedModelError} where none has any of the names.
 */
export function findArchitecture(names: readonly string[]): Architecture {
  const found = ARCHITECTURES.find((architecture) => names.some((name) => architecture.ids.includes(name)));
  if (found) return found;
  const known = ARCHITECTURES.map((architecture) => architecture.ids[0]).join(", ");
  throw new UnsupportedModelError(
    `the architecture ${names.join(" / ") || "(none named)"} is not known; known: ${known}`,
  );
}
