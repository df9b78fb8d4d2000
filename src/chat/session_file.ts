/**
 * The layout of a session: what was said, and the pages of the KV cache that hold it.
 *
 * | bytes | |
 * |---|---|
 * | 8 | `LLMFCHAT` |
 * | 4 | version, little-endian like all numbers |
 * | 4 | length of the header |
 * | | the header, JSON |
 * | | the pages in order; of each, keys and then values of every layer |
 * | 4 | CRC-32 of all before it |
 *
 * @module
 */
import { InvalidFileError } from "../errors.ts";
import { crc32 } from "../formats/crc32.ts";
import type { ChatMessage } from "../tokenizer/chat_template.ts";
import { checkedMessages } from "./messages.ts";

const MAGIC = new TextEncoder().encode("LLMFCHAT");
const VERSION = 1;
const START_BYTES = 16;
const CRC_BYTES = 4;
/** Name of a session in errors. */
const NAME = "session";

/** Under which circumstances pages mean something. */
export interface SessionOrigin {
  /** CRC-32 of the model's configuration and of its weights' names, types and shapes. */
  readonly model: number;
  /** CRC-32 of the logits after a few tokens: whether the weights are the same, and are computed with alike. */
  readonly probe: number;
  /** Name of the backend: each lays its pages out as it likes. */
  readonly backend: string;
  /** Element type of the KV cache. */
  readonly cache: string;
  /** Bytes of a page in all layers. */
  readonly pageBytes: number;
}

/** What is in a session. */
export interface Session {
  /** Where it comes from. */
  readonly origin: SessionOrigin;
  /** The history. */
  readonly messages: readonly ChatMessage[];
  /** Tokens of the conversation; the first of them are in the pages. */
  readonly ids: readonly number[];
  /** The text that they stand for. */
  readonly text: string;
  /** Full pages, one after the other. */
  readonly pages: Uint8Array;
}

/** A session as bytes. */
export function writeSession({ pages, ...header }: Session): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(START_BYTES + json.length + pages.length + CRC_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, json.length, true);
  bytes.set(json, START_BYTES);
  bytes.set(pages, START_BYTES + json.length);
  const end = bytes.length - CRC_BYTES;
  view.setUint32(end, crc32(bytes.subarray(0, end)), true);
  return bytes;
}

/**
 * Reads a session. Its pages are a view of the bytes.
 *
 * @throws {InvalidFileError} where the bytes are damaged, no session, or one of another version.
 */
export function readSession(bytes: Uint8Array): Session {
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) fail("it is no session; give what save() has made", 0);
  if (bytes.length < START_BYTES + CRC_BYTES) fail("it is cut short; save it again", bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== VERSION) fail(`its version is ${version}, and ${VERSION} can be read; save it again`, 8);
  const end = bytes.length - CRC_BYTES;
  if (crc32(bytes.subarray(0, end)) !== view.getUint32(end, true)) {
    fail("its checksum is wrong, so it is damaged; save it again", end);
  }
  const start = START_BYTES + view.getUint32(12, true);
  if (start > end) fail("its header is longer than the session; save it again", 12);
  return { ...parseHeader(bytes.subarray(START_BYTES, start)), pages: bytes.subarray(start, end) };
}

function parseHeader(bytes: Uint8Array): Omit<Session, "pages"> {
  try {
    const header: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const { origin, messages, ids, text } = asRecord(header);
    if (!Array.isArray(ids) || !ids.every((id) => Number.isInteger(id) && id >= 0)) {
      throw new TypeError("ids must be token ids");
    }
    if (typeof text !== "string") throw new TypeError("text must be a string");
    return { origin: parseOrigin(asRecord(origin)), messages: checkedMessages(messages), ids, text };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidFileError(
      `its header cannot be read: ${reason}; save it again`,
      { file: NAME, offset: START_BYTES },
      { cause },
    );
  }
}

function parseOrigin(origin: Record<string, unknown>): SessionOrigin {
  const number = (name: string): number => {
    const value = origin[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw new TypeError(`${name} must be a whole number`);
    }
    return value;
  };
  const text = (name: string): string => {
    const value = origin[name];
    if (typeof value !== "string") throw new TypeError(`${name} must be a string`);
    return value;
  };
  return {
    model: number("model"),
    probe: number("probe"),
    backend: text("backend"),
    cache: text("cache"),
    pageBytes: number("pageBytes"),
  };
}

function asRecord(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new TypeError("an object is missing");
  return { ...value };
}

function fail(what: string, offset: number): never {
  throw new InvalidFileError(what, { file: NAME, offset });
}
