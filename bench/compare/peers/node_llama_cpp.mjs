// Prefill and decode speed of node-llama-cpp (native llama.cpp) as one line of JSON.
//
//     node node_llama_cpp.mjs '{"model":"FILE","promptTokens":512,"genTokens":128,"threads":1,"home":"FOLDER"}'
//
// `home` is the folder whose node_modules holds the package.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { model: modelPath, promptTokens, genTokens, threads, home } = JSON.parse(process.argv[2]);
const entry = createRequire(`${home}/package.json`).resolve("node-llama-cpp");
const { version } = JSON.parse(readFileSync(`${home}/node_modules/node-llama-cpp/package.json`, "utf8"));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry).href);

const llama = await getLlama({
  gpu: false,
  build: "never",
  logLevel: LlamaLogLevel.error,
  maxThreads: threads,
});
const loadStart = performance.now();
const model = await llama.loadModel({ modelPath });
const load_ms = performance.now() - loadStart;
const context = await model.createContext({
  contextSize: promptTokens + genTokens + 16,
  batchSize: promptTokens,
  threads: { ideal: threads, min: threads },
});
const sequence = context.getSequence();
const ids = Array.from({ length: promptTokens }, (_, i) => 100 + (i * 37) % 1000);
const greedy = { temperature: 0, yieldEogToken: true };

/** From the prompt to the first token that comes of it. */
async function prefill() {
  await sequence.clearHistory();
  const start = performance.now();
  for await (const _ of sequence.evaluate(ids, greedy)) break;
  return promptTokens / (performance.now() - start) * 1000;
}

/** Tokens behind the first one. */
async function decode(count) {
  await sequence.clearHistory();
  let seen = 0;
  let start = 0;
  for await (const _ of sequence.evaluate([ids[0]], greedy)) {
    if (seen++ === 0) start = performance.now();
    if (seen > count) break;
  }
  return count / (performance.now() - start) * 1000;
}

await prefill();
await decode(Math.min(32, genTokens));
const [pp, tg] = [await prefill(), await decode(genTokens)];
console.log(JSON.stringify({ version, threads, load_ms, prefill: pp, decode: tg }));
process.exit(0);
