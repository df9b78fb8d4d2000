/**
 * JSON read from model files: strict UTF-8, bounded, with typed errors.
 *
 * @module
 */

import { type FilePlace, InvalidFileError } from "../errors.ts";
import { type ByteSource, message } from "./byte_source.ts";

/** The largest JSON file that is read; the largest tokenizers take about 40 MB. */
const MAX_JSON = 256 * 1024 * 1024;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** A JSON object. */
export type JsonObject = Record<string, unknown>;

/** Whether a parsed value is an object, and neither an array nor null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Decodes UTF-8. Throws an {@linkcode InvalidFileError} where it is none. */
export function decodeText(bytes: Uint8Array, place: FilePlace): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new InvalidFileError("the text is not UTF-8", place, { cause });
  }
}

/** Parses JSON. Throws an {@linkcode InvalidFileError} where it is none. */
export function parseJson(text: string, place: FilePlace): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidFileError(`this is not JSON: ${message(cause)}`, place, { cause });
  }
}

/** Parses JSON that must be an object. */
export function parseJsonObject(text: string, place: FilePlace): JsonObject {
  const value = parseJson(text, place);
  if (!isObject(value)) throw new InvalidFileError("the JSON is not an object", place);
  return value;
}

/** Reads a whole file of text and closes it. */
export async function readText(source: ByteSource): Promise<string> {
  try {
    if (source.size > MAX_JSON) {
      throw new InvalidFileError(`the file has ${source.size} bytes, more than ${MAX_JSON}`, {
        file: source.name,
      });
    }
    return decodeText(await source.read(0, source.size), { file: source.name });
  } finally {
    source.close();
  }
}

/** Reads a whole JSON file and closes it. */
export async function readJson(source: ByteSource): Promise<unknown> {
  return parseJson(await readText(source), { file: source.name });
}

/** Reads a whole JSON file that must hold an object, and closes it. */
export async function readJsonObject(source: ByteSource): Promise<JsonObject> {
  return parseJsonObject(await readText(source), { file: source.name });
}

/** A key that occurs twice in the outermost object of `text`, which must be valid JSON. */
export function duplicateKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let lastString = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      if (depth === 1) lastString = text.slice(start, i + 1);
    } else if (c === "{" || c === "[") {
      depth++;
    } else if (c === "}" || c === "]") {
      depth--;
    } else if (c === ":" && depth === 1) {
      const key = JSON.parse(lastString);
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
}
