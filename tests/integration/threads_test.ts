/** Threads: the same bits however many there are, a calling thread that stays free, and processes that end. @module */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Model } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createNativeBackend } from "../../src/backends/native/mod.ts";
import { createWasmBackend } from "../../src/backends/wasm/mod.ts";
import { loadOn } from "../../src/load.ts";
import { testOnBackends } from "../support/backends.ts";
import { runCli, runJson } from "../support/run_cli.ts";
import { sharedUrl, testWithShared } from "../support/shared.ts";

const SMOLLM2 = "models/smollm2-135m-instruct-q4_1.gguf";
const BUILDS = ["simd", "relaxed"] as const;

async function loadWithThreads(threads: number, source: URL): Promise<Model> {
  const backend = await createWasmBackend({ threads });
  return await loadOn(() => Promise.resolve({ backend, report: [] }), source);
}

const LONG_PROMPT = Array.from({ length: 90 }, (_, i) => (i * 7919 + 17) % 500);

/** What a model says, and the bits of its logits. */
async function bitsOn(backend: Backend): Promise<{ ids: readonly number[]; bits: Uint8Array }> {
  await using model = await loadOn(() => Promise.resolve({ backend, report: [] }));
  const logits = await model.logits(LONG_PROMPT);
  const options = { maxTokens: 40, seed: 7, temperature: 1 };
  const { ids } = await model.generate("Once upon a time", options).stats();
  return { ids, bits: new Uint8Array(logits.buffer) };
}

for (const build of BUILDS) {
  Deno.test(`the bits of the story model do not depend on threads (wasm ${build})`, async () => {
    const results = [];
    for (const threads of [0, 1, 2, 3]) {
      // Every region is shared, however small.
      results.push(await bitsOn(await createWasmBackend({ build, threads, partWork: 0 })));
    }
    for (const result of results.slice(1)) assertEquals(result, results[0]);
  });
}

await testOnBackends("the bits of the story model are those of no threads", async (backend) => {
  assertEquals(await bitsOn(backend), await bitsOn(await createNativeBackend({ threads: 0 })));
}, (name) => name === "native");

testWithShared("the bits of SmolLM2 do not depend on threads", [SMOLLM2], async () => {
  const results = [];
  for (const threads of [0, 2, 3]) {
    await using model = await loadWithThreads(threads, sharedUrl(SMOLLM2));
    results.push(await model.logits(LONG_PROMPT.concat(LONG_PROMPT)));
  }
  for (const result of results.slice(1)) assertEquals(result, results[0]);
});

testWithShared("timers fire in time while a model prefills and generates", [SMOLLM2], async () => {
  await using model = await loadWithThreads(2, sharedUrl(SMOLLM2));
  const prompt = Array.from({ length: 400 }, (_, i) => (i * 7919 + 17) % model.config.vocabSize);
  const waits: number[] = [];
  let done = false;
  const timers = (async () => {
    while (!done) {
      const start = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 10));
      waits.push(performance.now() - start);
    }
  })();
  await model.generate(prompt, { maxTokens: 60, temperature: 0, ignoreEos: true }).stats();
  done = true;
  await timers;
  waits.sort((a, b) => a - b);
  assert(waits.length > 30, `only ${waits.length} timers fired`);
  // A few may be late for reasons of the machine's own.
  const most = waits[Math.floor(waits.length * 0.95)];
  assert(most < 20, `of ${waits.length} timers for 10 ms, one in 20 took ${most} ms or longer`);
});

Deno.test("cli: threads need no permission, and tell the same story", async () => {
  const args = ["Once upon a time", "--seed", "3", "--temperature", "1", "--max-tokens", "24"];
  const [alone, two] = await Promise.all([runJson(args), runJson([...args, "--threads", "2"])]);
  assertEquals([alone.threads, two.threads], [1, 2]);
  assertEquals(two.ids, alone.ids);
});

Deno.test("cli doctor: says how many threads there would be", async () => {
  const { stdout } = await runCli(["doctor"]);
  const line = stdout.split("\n").find((line) => line.includes("WebAssembly")) ?? "";
  if (navigator.hardwareConcurrency > 1) assertStringIncludes(line, "threads");
});

Deno.test("a model that is left open does not keep the process alive", async () => {
  const code = `
    import { load } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)};
    const model = await load(undefined, { threads: 2 });
    console.log((await model.generate("Once", { maxTokens: 3 }).stats()).ids.length);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(20_000),
  });
  const { success, stdout, stderr } = await child.output();
  const text = new TextDecoder().decode(stdout);
  assertEquals([success, text], [true, "3\n"], new TextDecoder().decode(stderr));
});
