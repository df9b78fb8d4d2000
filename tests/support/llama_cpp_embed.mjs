// Embeddings, scores and token ids of llama.cpp, over node-llama-cpp: one JSON line for each case, in order.
// node llama_cpp_embed.mjs '{"home": FOLDER, "cases": [{"path": FILE, "ranking": BOOLEAN, "inputs": [[IDS]], "texts": [TEXT]}]}'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";

const { home, cases } = JSON.parse(readFileSync(0, "utf8"));
const entry = createRequire(`${home}/package.json`).resolve("node-llama-cpp");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry).href);
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 2 });

for (const { path, ranking, inputs, texts } of cases) {
  try {
    const model = await llama.loadModel({ modelPath: path, useMmap: false });
    const options = { contextSize: 64, batchSize: 64 };
    const vectors = [];
    if (ranking) {
      const context = await model.createRankingContext(options);
      for (const ids of inputs) vectors.push([await context._evaluateRankingForInput(ids)]);
      await context.dispose();
    } else {
      const context = await model.createEmbeddingContext(options);
      for (const ids of inputs) vectors.push((await context.getEmbeddingFor(ids)).vector);
      await context.dispose();
    }
    const ids = texts.map((text) => model.tokenize(text));
    await model.dispose();
    console.log(JSON.stringify({ vectors, ids }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
process.exit(0);
