/**
 * Saves a conversation with its part of the KV cache, and puts it back.
 *
 * @module
 */
import type { WeightHandle } from "../backends/backend.ts";
import { InvalidArgumentError, InvalidFileError, SessionMismatchError } from "../errors.ts";
import { crc32 } from "../formats/crc32.ts";
import type { Decoder } from "../generate/decoder.ts";
import type { Engine } from "../generate/engine.ts";
import { computeLogits } from "../generate/scoring.ts";
import type { DecoderConfig } from "../models/config.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";
import type { ChatState } from "./chat.ts";
import { readSession, type SessionOrigin, writeSession } from "./session_file.ts";

/** What sessions need of a model. */
export interface SessionModel {
  /** Runs the steps, and keeps pages. */
  readonly engine: Engine;
  /** Has the pages. */
  readonly decoder: Decoder;
  /** Configuration. */
  readonly config: DecoderConfig;
  /** Uploaded weights. */
  readonly weights: ReadonlyMap<string, WeightHandle>;
  /** Name of the backend. */
  readonly backend: string;
}

/** Tokens whose logits tell weights apart. */
const PROBE_TOKENS = 4;

/** What must be the same, and how it is called. */
const REASONS: readonly (readonly [field: keyof SessionOrigin, what: string])[] = [
  ["model", "another model or quantization"],
  ["backend", "another backend"],
  ["cache", "another type of KV cache"],
  ["pageBytes", "another layout of the KV cache"],
  ["probe", "other weights, or on a machine that rounds otherwise"],
];

/** A conversation as bytes, with its pages that are still there. */
export async function saveSession(
  model: SessionModel,
  { messages, transcript }: ChatState,
): Promise<Uint8Array> {
  const { engine, decoder } = checked(model);
  const { ids, text } = transcript ?? { ids: [], text: "" };
  const origin = await originOf(model);
  const found = engine.prefixes.find(ids, ids.length);
  // Held, so that nobody writes to them meanwhile.
  decoder.pool.share(found);
  try {
    const pages = new Uint8Array(found.length * origin.pageBytes);
    const place = (i: number): Uint8Array => pages.subarray(i * origin.pageBytes, (i + 1) * origin.pageBytes);
    for (const [i, page] of found.entries()) await decoder.readPage(page, place(i));
    return writeSession({ origin, messages, ids, text, pages });
  } finally {
    decoder.pool.give(found);
  }
}

/**
 * Puts the pages of a session where the next prompt finds them, as many as there is room for.
 *
 * @throws {InvalidFileError} where the session is damaged.
 * @throws {SessionMismatchError} where its pages mean nothing to this model.
 */
export async function restoreSession(model: SessionModel, bytes: Uint8Array): Promise<ChatState> {
  const { engine, decoder } = checked(model);
  const { origin, messages, ids, text, pages } = readSession(bytes);
  const here = await originOf(model);
  const reason = REASONS.find(([field]) => origin[field] !== here[field]);
  if (reason) throw new SessionMismatchError(reason[1]);
  const count = pages.length / here.pageBytes;
  if (!Number.isInteger(count) || count * PAGE_SIZE > ids.length) {
    throw new InvalidFileError(`${pages.length} bytes of pages do not belong to ${ids.length} tokens`, {
      file: "session",
    });
  }
  if (ids.some((id) => id >= model.config.vocabSize)) {
    throw new InvalidFileError("a token is outside the vocabulary", { file: "session" });
  }
  const taken: number[] = [];
  while (taken.length < Math.min(count, engine.prefixes.limit)) {
    const page = decoder.pool.take();
    if (page === undefined) break;
    taken.push(page);
  }
  try {
    // A step that still runs may write to them; reading waits for it.
    if (taken.length > 0) await decoder.readPage(taken[0], new Uint8Array(here.pageBytes));
    for (const [i, page] of taken.entries()) {
      decoder.writePage(page, pages.subarray(i * here.pageBytes, (i + 1) * here.pageBytes));
    }
    engine.prefixes.add(ids, taken, taken.length * PAGE_SIZE);
  } finally {
    decoder.pool.give(taken);
  }
  return { messages, ...(ids.length > 0 ? { transcript: { ids, text } } : {}) };
}

function checked(model: SessionModel): SessionModel {
  if (model.config.kind === "decoder") return model;
  throw new InvalidArgumentError("sessions are for decoders; save the messages of this model instead");
}

async function originOf(model: SessionModel): Promise<SessionOrigin> {
  const { engine, decoder, config, weights, backend } = model;
  const specs = [...weights.values()].map(({ spec }) => spec).sort((a, b) => a.name < b.name ? -1 : 1);
  const tokens = Array.from({ length: PROBE_TOKENS }, (_, i) => i % config.vocabSize);
  let probe = 0;
  const look = (row: Float32Array): void => {
    probe = crc32(new Uint8Array(row.buffer, row.byteOffset, row.byteLength), probe);
  };
  await computeLogits(engine, { tokens, rows: "last", look });
  return {
    model: crc32(new TextEncoder().encode(JSON.stringify([config, specs]))),
    probe,
    backend,
    cache: decoder.cacheDType,
    pageBytes: decoder.pageBytes,
  };
}
