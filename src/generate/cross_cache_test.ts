import { assertEquals, assertRejects } from "@std/assert";
import { createReferenceBackend } from "../backends/reference/mod.ts";
import { SequenceLengthExceededError } from "../errors.ts";
import type { DecoderConfig } from "../models/config.ts";
import { CrossCache, crossCacheBytes } from "./cross_cache.ts";

const CONFIG = { kind: "encoder-decoder", layers: 2, kvHeads: 2, headDim: 4 } as DecoderConfig;

Deno.test("pages of an input go back when its last holder lets go", async () => {
  using backend = createReferenceBackend();
  using cache = new CrossCache(backend, CONFIG, { contextLength: 64, cacheTokens: 64, dtype: "f32" });
  assertEquals(cache.bytes, crossCacheBytes(CONFIG, 64, "f32"));
  const part = await cache.take(40);
  const beam = part.share();
  assertEquals([part.pages.length, part.slot(33) % 32], [2, 1]);
  part[Symbol.dispose]();
  await assertRejects(() => cache.take(1, AbortSignal.timeout(1)), DOMException, "timeout");
  beam[Symbol.dispose]();
  assertEquals((await cache.take(64)).pages.length, 2);
});

Deno.test("inputs wait for room in the order in which they came, and those that give up hold up nobody", async () => {
  using backend = createReferenceBackend();
  using cache = new CrossCache(backend, CONFIG, { contextLength: 64, cacheTokens: 64, dtype: "f32" });
  const first = await cache.take(33);
  const abort = new AbortController();
  const came: string[] = [];
  const take = async (name: string, length: number, signal?: AbortSignal): Promise<void> => {
    using part = await cache.take(length, signal);
    came.push(`${name} ${part.pages.length}`);
  };
  const large = take("large", 64, abort.signal);
  const others = [take("a", 32), take("b", 64), take("c", 1)];
  abort.abort(new RangeError("enough"));
  await assertRejects(() => large, RangeError);
  assertEquals(came, []);
  first[Symbol.dispose]();
  await Promise.all(others);
  assertEquals(came, ["a 1", "b 2", "c 1"]);
  assertEquals((await cache.take(64)).pages.length, 2);
});

Deno.test("an input that is longer than the context takes no page", async () => {
  using backend = createReferenceBackend();
  using cache = new CrossCache(backend, CONFIG, { contextLength: 40, cacheTokens: 40, dtype: "f16" });
  await assertRejects(() => cache.take(41), SequenceLengthExceededError, "41");
  assertEquals((await cache.take(40)).length, 40);
});

Deno.test("models of one stack have no cross cache, and freeing gives all bytes back", () => {
  assertEquals(crossCacheBytes({ ...CONFIG, kind: "decoder" }, 64, "f32"), 0);
  using backend = createReferenceBackend();
  new CrossCache(backend, CONFIG, { contextLength: 64, cacheTokens: 64, dtype: "f32" })[Symbol.dispose]();
  assertEquals(backend.memory.used, 0);
});
