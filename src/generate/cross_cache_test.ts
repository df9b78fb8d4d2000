import { assertEquals, assertThrows } from "@std/assert";
import { createReferenceBackend } from "../backends/reference/mod.ts";
import { SequenceLengthExceededError } from "../errors.ts";
import type { DecoderConfig } from "../models/config.ts";
import { CrossCache, crossCacheBytes } from "./cross_cache.ts";

const CONFIG = { kind: "encoder-decoder", layers: 2, kvHeads: 2, headDim: 4 } as DecoderConfig;

Deno.test("pages of an input go back when its last holder lets go", () => {
  using backend = createReferenceBackend();
  using cache = new CrossCache(backend, CONFIG, { contextLength: 64, cacheTokens: 64, dtype: "f32" });
  assertEquals(cache.bytes, crossCacheBytes(CONFIG, 64, "f32"));
  const part = cache.take(40);
  const beam = part.share();
  assertEquals([part.pages.length, part.slot(33) % 32], [2, 1]);
  part[Symbol.dispose]();
  assertThrows(() => cache.take(1), SequenceLengthExceededError);
  beam[Symbol.dispose]();
  assertEquals(cache.take(64).pages.length, 2);
});

Deno.test("an input that is longer than the context takes no page", () => {
  using backend = createReferenceBackend();
  using cache = new CrossCache(backend, CONFIG, { contextLength: 40, cacheTokens: 40, dtype: "f16" });
  assertThrows(() => cache.take(41), SequenceLengthExceededError, "41");
  assertEquals(cache.take(40).length, 40);
});

Deno.test("models of one stack have no cross cache, and freeing gives all bytes back", () => {
  assertEquals(crossCacheBytes({ ...CONFIG, kind: "decoder" }, 64, "f32"), 0);
  using backend = createReferenceBackend();
  new CrossCache(backend, CONFIG, { contextLength: 64, cacheTokens: 64, dtype: "f32" })[Symbol.dispose]();
  assertEquals(backend.memory.used, 0);
});
