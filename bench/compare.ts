/**
 * LLMForge beside node-llama-cpp (native llama.cpp) on one file: interleaved runs, medians and their ratios.
 *
 *     deno task bench MODEL.gguf [--rounds 3] [--threads 1] [--prompt-tokens 512] [--gen-tokens 128]
 *
 * The peer must be installed once: `npm install --ignore-scripts --prefix bench/compare`.
 *
 * @module
 */
import { parseArgs } from "node:util";

interface BenchResult {
  backend: string;
  threads: number;
  runs: { test: string; tok_s: number[] }[];
  load_ms: number;
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "1" },
    backend: { type: "string", default: "auto" },
    "prompt-tokens": { type: "string", default: "512" },
    "gen-tokens": { type: "string", default: "128" },
  },
});
const [model] = positionals;
if (!model) throw new Error("usage: deno task bench MODEL.gguf");
const { rounds, threads, backend, "prompt-tokens": promptTokens, "gen-tokens": genTokens } = values;

const root = new URL("..", import.meta.url).pathname;
const COMMANDS: Record<string, [string, string[]]> = {
  llmforge: [Deno.execPath(), [
    ...["run", "-R", `${root}cli.ts`, "bench", model, "--json", "--repeat", "1", "--backend", backend],
    ...["--threads", threads, "--prompt-tokens", promptTokens, "--gen-tokens", genTokens],
  ]],
  "node-llama-cpp": ["node", [
    `${root}bench/compare/node_llama_cpp.mjs`,
    ...[model, promptTokens, genTokens, "1", threads],
  ]],
};

async function bench([command, args]: [string, string[]]): Promise<BenchResult> {
  const { stdout, stderr, success } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "");
}

const median = (list: number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1];
const results = new Map<string, Map<string, number[]>>();
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, command] of Object.entries(COMMANDS)) {
    const { runs, load_ms } = await bench(command);
    const mine = results.get(name) ?? new Map<string, number[]>();
    results.set(name, mine);
    for (const { test, tok_s } of [...runs, { test: "load_ms", tok_s: [load_ms] }]) {
      mine.set(test, [...mine.get(test) ?? [], ...tok_s]);
    }
  }
}
const [ours, theirs] = [...results.values()];
console.log(`threads ${threads}, ${rounds} interleaved rounds, medians`);
for (const [test, figures] of ours) {
  const [a, b] = [median(figures), median(theirs.get(test) ?? [NaN])];
  console.log(
    `${test.padEnd(8)} llmforge ${a.toFixed(1)}  node-llama-cpp ${b.toFixed(1)}  ratio ${(a / b).toFixed(2)}`,
  );
}
