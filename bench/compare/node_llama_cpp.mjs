// Prefill and decode speed of node-llama-cpp (native llama.cpp) as one line of JSON.
//
//     node node_llama_cpp.mjs MODEL PROMPT_TOKENS GEN_TOKENS REPEAT THREADS
//
// NODE_LLAMA_CPP names the folder whose node_modules holds the package, where it is not installed beside this file.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [path, promptTokens, genTokens, repeat, threads] = process.argv.slice(2).map((
  x,
  i,
) => (i === 0 ? x : Number(x)));
const home = process.env.NODE_LLAMA_CPP ?? import.meta.dirname;
const entry = createRequire(`${home}/package.json`).resolve("node-llama-cpp");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry).href);

const llama = await getLlama({
  gpu: false,
  build: "never",
  logLevel: LlamaLogLevel.error,
  maxThreads: threads,
});
const loadStart = performance.now();
const model = await llama.loadModel({ modelPath: path });
const load_ms = performance.now() - loadStart;
const context = await model.createContext({
  contextSize: promptTokens + genTokens + 16,
  batchSize: promptTokens,
  threads: { ideal: threads, min: threads },
});
const sequence = context.getSequence();
const ids = Array.from({ length: promptTokens }, (_, i) => 100 + (i * 37) % 1000);
const greedy = { temperature: 0 };

async function prefill() {
  await sequence.clearHistory();
  const start = performance.now();
  for await (const _ of sequence.evaluate(ids, { ...greedy, yieldEogToken: true })) break;
  return promptTokens / (performance.now() - start) * 1000;
}

async function decode() {
  await sequence.clearHistory();
  let count = 0;
  let start = 0;
  for await (const _ of sequence.evaluate([ids[0]], { ...greedy, yieldEogToken: true })) {
    if (count++ === 0) start = performance.now();
    if (count > genTokens) break;
  }
  return genTokens / (performance.now() - start) * 1000;
}

await prefill();
await decode();
const runs = [{ test: `pp${promptTokens}`, tok_s: [] }, { test: `tg${genTokens}`, tok_s: [] }];
for (let i = 0; i < repeat; i++) {
  runs[0].tok_s.push(await prefill());
  runs[1].tok_s.push(await decode());
}
console.log(JSON.stringify({ backend: "node-llama-cpp 3.22.1", threads, runs, load_ms }));
process.exit(0);
