// Greedy continuations of llama.cpp, over node-llama-cpp: one JSON line for each model file, in order.
// node llama_cpp_greedy.mjs '{"home": FOLDER, "cases": [{"path": FILE, "prompt": [IDS], "count": N}]}'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";

const { home, cases } = JSON.parse(readFileSync(0, "utf8"));
const entry = createRequire(`${home}/package.json`).resolve("node-llama-cpp");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry).href);
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 2 });

for (const { path, prompt, count } of cases) {
  try {
    const model = await llama.loadModel({ modelPath: path, useMmap: false });
    const context = await model.createContext({
      contextSize: 128,
      flashAttention: false,
      experimentalKvCacheKeyType: "F32",
      experimentalKvCacheValueType: "F32",
    });
    const ids = [];
    for await (const id of context.getSequence().evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      ids.push(id);
      if (ids.length === count) break;
    }
    await context.dispose();
    await model.dispose();
    console.log(JSON.stringify({ ids }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
process.exit(0);
