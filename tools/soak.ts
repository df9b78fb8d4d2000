/**
 * Long-running checks: damaged files, aborted generations, memory that must not grow.
 * `LLMFORGE_SOAK` scales them; 1 is about half a minute, and nothing given means 0.1.
 *
 * @module
 */
import { convert, type EngineUsage, load, type Model } from "../mod.ts";
import { uniform } from "../src/sampling/random.ts";
import { withFolder } from "../tests/support/goldens.ts";
import { LLAMA2_CONFIG, llama2Tensors, writeSparse } from "../tests/support/sparse_model.ts";
import { fuzz, fuzzKinds } from "./soak/fuzz.ts";

const scale = Number(Deno.env.get("LLMFORGE_SOAK") ?? "0.1");
let passed = 0;
let failed = 0;

async function check(name: string, run: () => Promise<string>): Promise<void> {
  const start = performance.now();
  try {
    const note = await run();
    passed++;
    console.log(`ok ${name}: ${note} (${Math.round((performance.now() - start) / 1000)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}:`, error);
  }
}

/** Whole number in [0, limit) for a seed and a draw. */
const pick = (seed: number, draw: number, limit: number): number => Math.floor(uniform(seed, draw) * limit);

const cases = Math.ceil(100_000 * scale);
for (const kind of await fuzzKinds()) {
  await check(`damaged: ${kind.name}`, () => fuzz(kind, Math.ceil(cases * kind.share)));
}

await check("a large model converted in bounded memory", async () => {
  const layers = scale < 1 ? 1 : 4;
  return await withFolder(async (folder) => {
    await writeSparse(`${folder}/model.safetensors`, "f16", llama2Tensors(layers));
    const config = { ...LLAMA2_CONFIG, num_hidden_layers: layers };
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    const before = Deno.memoryUsage().rss;
    let most = 0;
    const onProgress = () => most = Math.max(most, Deno.memoryUsage().rss - before);
    const { bytes } = await convert(folder, `${folder}/out.gguf`, { quantize: "q4_0", onProgress });
    if (most > 2 ** 29) throw new Error(`memory grew by ${Math.round(most / 2 ** 20)} MiB`);
    return `${layers} layers of 7B, ${Math.round(bytes / 2 ** 20)} MiB, memory grew by ${
      Math.round(most / 2 ** 20)
    } MiB`;
  });
});

await check("aborted generations", async () => {
  const rounds = Math.ceil(10_000 * scale);
  await using model = await load();
  let before = 0;
  for (let round = 0; round < rounds; round++) {
    const abort = new AbortController();
    const steps = pick(round, 0, 12);
    let seen = 0;
    const generation = model.generate("Once upon a time", {
      maxTokens: 16,
      seed: round,
      signal: abort.signal,
    });
    for await (const _ of generation) {
      if (++seen < steps) continue;
      if (round % 2 === 0) abort.abort();
      else break;
    }
    if (round === Math.floor(rounds / 2)) before = Deno.memoryUsage().rss;
  }
  const whole = await model.generate("Once upon a time", { maxTokens: 500, ignoreEos: true, temperature: 0 })
    .stats();
  if (whole.ids.length !== 500) throw new Error(`pages leaked: ${whole.ids.length} of 500 tokens fit`);
  const growth = (Deno.memoryUsage().rss - before) / 2 ** 20;
  if (growth > 64) throw new Error(`memory grew by ${growth.toFixed(0)} MiB in the second half`);
  return `${rounds} rounds, memory grew by ${growth.toFixed(1)} MiB in the second half`;
});

await check("generations aborted inside batches", async () => {
  const rounds = Math.ceil(10_000 * scale);
  const unhandled: unknown[] = [];
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    unhandled.push(event.reason);
  });
  await using model = await load(undefined, { contextLength: 128, maxSequences: 12 });
  let [next, before] = [0, 0];
  const worker = async (): Promise<void> => {
    for (let round = next++; round < rounds; round = next++) {
      await abortedSomewhere(model, round);
      if (round === Math.floor(rounds / 2)) before = Deno.memoryUsage().rss;
    }
  };
  // More than a step holds, so that some wait and some lose their pages.
  await Promise.all(Array.from({ length: 20 }, worker));
  // Before `settled`, which makes garbage of its own.
  const growth = (Deno.memoryUsage().rss - before) / 2 ** 20;
  if (unhandled.length > 0) throw new Error("unhandled rejections", { cause: unhandled[0] });
  const left = await settled(model);
  if (left.heldPages > 0) throw new Error(`${left.heldPages} pages leaked`);
  if (growth > 64) throw new Error(`memory grew by ${growth.toFixed(0)} MiB in the second half`);
  return `${rounds} generations, memory grew by ${growth.toFixed(1)} MiB in the second half`;
});

/** What is in use once forgotten generations have been collected, or after some seconds. */
async function settled(model: Model): Promise<EngineUsage> {
  for (let wait = 0; wait < 50 && model.usage.idle > 0; wait++) {
    // Garbage, so that it is collected.
    new Array(1 << 20).fill(0).map((_, i) => ({ i }));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return model.usage;
}

/** Reads some tokens of a generation and ends it in one of the ways there are; or forgets it. */
async function abortedSomewhere(model: Model, round: number): Promise<void> {
  const abort = new AbortController();
  const generation = model.generate([0, ...Array.from({ length: pick(round, 0, 90) }, (_, i) => 260 + i)], {
    maxTokens: 30,
    temperature: pick(round, 1, 2),
    seed: round,
    signal: abort.signal,
  });
  const iterator = generation[Symbol.asyncIterator]();
  if (round % 5 === 0) queueMicrotask(() => abort.abort());
  for (let step = pick(round, 2, 12); step > 0 && !(await iterator.next()).done; step--);
  if (round % 5 === 1) abort.abort();
  else if (round % 5 < 4) await iterator.return?.();
  if (round % 5 === 1) await iterator.next();
}

await check("models opened and closed", async () => {
  const rounds = Math.ceil(500 * scale);
  let before = 0;
  for (let round = 0; round < rounds; round++) {
    await using model = await load();
    await model.generate("The", { maxTokens: 2 }).text();
    if (round === Math.floor(rounds / 2)) before = Deno.memoryUsage().rss;
  }
  const growth = (Deno.memoryUsage().rss - before) / 2 ** 20;
  if (growth > 256) throw new Error(`memory grew by ${growth.toFixed(0)} MiB in the second half`);
  return `${rounds} rounds, memory grew by ${growth.toFixed(1)} MiB in the second half`;
});

await check("threads that come, compute and go", async () => {
  const rounds = Math.ceil(2000 * scale);
  const expected = await story({ backend: "wasm" });
  for (let round = 0; round < rounds; round++) {
    const told = await within(20_000, story({ backend: "wasm", threads: 1 + round % 3 }));
    if (told.join() !== expected.join()) throw new Error(`round ${round}: ${told} is not ${expected}`);
  }
  return `${rounds} rounds of 1 to 3 threads, none hung, all told the same`;
});

async function story(options: { backend: "wasm"; threads?: number }): Promise<readonly number[]> {
  await using model = await load(undefined, options);
  const { ids } = await model.generate("Once upon a time", { maxTokens: 12, temperature: 0 }).stats();
  return ids;
}

/** Fails where the work takes longer than so many milliseconds. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`it hung for ${milliseconds} ms`)), milliseconds);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 ? 1 : 0);
