/**
 * The small story model that is part of the module graph.
 *
 * @module
 */
import { STORIES } from "./stories.gen.js";

/** The bytes of the model file (GGUF). */
export function embeddedModel(): Uint8Array {
  const native = (Uint8Array as { fromBase64?: (text: string) => Uint8Array }).fromBase64;
  if (native) return native.call(Uint8Array, STORIES);
  return Uint8Array.from(atob(STORIES), (character) => character.charCodeAt(0));
}
