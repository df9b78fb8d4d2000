/**
 * LLMForge beside node-llama-cpp (native llama.cpp) and wllama (llama.cpp in a browser): the same file, prompt length
 * and thread count, interleaved. Writes `bench/compare/results/latest.{md,svg,json}`.
 *
 *     deno run -A bench/compare.ts [--model FILE] [--rounds 3] [--threads 1,2] [--peers node-llama-cpp,wllama]
 *
 * Peers are installed once: `npm install --ignore-scripts --prefix bench/compare`. This file stands outside of that Node
 * package, because Deno would take the package's dependencies for ours. See `docs/benchmarks.md`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { sharedUrl } from "../tests/support/shared.ts";
import { describeMachine, describeRevision, describeRuntime } from "./support/machine.ts";
import { baseName, exists, list, whole } from "./support/options.ts";
import { llmforge, nodeLlamaCpp, type Peer, type Task, wllama } from "./compare/peers.ts";
import { plot } from "./compare/plot.ts";
import { addRun, type Comparison, seriesLabel, table } from "./compare/results.ts";

const OTHERS = [nodeLlamaCpp, wllama];
const DEFAULT_MODEL = sharedUrl("models/smollm2-135m-instruct-q4_1.gguf");
const RESULTS = new URL("./compare/results/", import.meta.url);

const USAGE = `usage: deno run -A bench/compare.ts [options]
  --model FILE               any GGUF file; default: SmolLM2 where it lies beside the checkout
  --rounds N                 default: 3
  --threads 1,2              default: 1
  --prompt-tokens N          default: 512
  --gen-tokens N             default: 128
  --wllama-tokens P,G        tokens for wllama alone, which is slow: 128,32 takes a quarter of the time
  --peers a,b                of ${OTHERS.map(({ name }) => name).join(", ")}; default: all that are installed
  --backend NAME             LLMForge's own; default: wasm`;

interface Options {
  readonly task: Omit<Task, "threads">;
  readonly wllamaTask: Omit<Task, "threads">;
  readonly threads: readonly number[];
  readonly rounds: number;
  readonly peers: readonly Peer[];
  readonly backend: string;
}

function options(): Options {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      model: { type: "string" },
      rounds: { type: "string", default: "3" },
      threads: { type: "string", default: "1" },
      "prompt-tokens": { type: "string", default: "512" },
      "gen-tokens": { type: "string", default: "128" },
      "wllama-tokens": { type: "string" },
      peers: { type: "string" },
      backend: { type: "string", default: "wasm" },
    },
  });
  const model = values.model ??
    (exists(DEFAULT_MODEL) ? decodeURIComponent(DEFAULT_MODEL.pathname) : undefined);
  if (model === undefined) throw new Error("which model? Name a GGUF file with --model");
  const task = {
    model: Deno.realPathSync(model),
    promptTokens: whole("prompt-tokens", values["prompt-tokens"]),
    genTokens: whole("gen-tokens", values["gen-tokens"]),
  };
  const [promptTokens = task.promptTokens, genTokens = task.genTokens] = list(values["wllama-tokens"] ?? "")
    .map((count) => whole("wllama-tokens", count));
  return {
    task,
    wllamaTask: { ...task, promptTokens, genTokens },
    threads: list(values.threads).map((count) => whole("threads", count)),
    rounds: whole("rounds", values.rounds),
    peers: values.peers === undefined ? OTHERS : list(values.peers).map(peerOf),
    backend: values.backend,
  };
}

function peerOf(name: string): Peer {
  const peer = OTHERS.find((candidate) => candidate.name === name);
  if (peer === undefined) {
    throw new Error(`there is no peer ${name}; there are ${OTHERS.map((other) => other.name).join(", ")}`);
  }
  return peer;
}

/** Runs every engine in turn, round after round; another one begins each round. */
async function compare({ task, wllamaTask, threads, rounds, peers, backend }: Options): Promise<Comparison> {
  const revision = await describeRevision();
  const missing = peers.map((peer) => ({ peer: peer.name, reason: peer.missing() ?? "" }));
  const skipped = missing.filter(({ reason }) => reason !== "");
  for (const { peer, reason } of skipped) console.error(`${peer} is left out: ${reason}`);
  const engines = [llmforge(backend, revision.commit ?? ""), ...peers.filter((peer) => !peer.missing())];
  const comparison: Comparison = {
    time: new Date().toISOString(),
    revision,
    machine: describeMachine(),
    runtime: describeRuntime(),
    model: baseName(task.model),
    modelBytes: Deno.statSync(task.model).size,
    rounds,
    series: [],
    skipped,
  };
  let turns = threads.flatMap((count) => engines.map((engine) => ({ engine, threads: count })));
  for (let round = 0; round < rounds; round++) {
    const rotated = turns.map((_, i) => turns[(i + round) % turns.length]);
    for (const turn of rotated) {
      const { engine, threads: count } = turn;
      const order = { ...(engine === wllama ? wllamaTask : task), threads: count };
      console.error(`round ${round + 1} of ${rounds}: ${seriesLabel({ peer: engine.name, threads: count })}`);
      const run = await engine.run(order);
      if (run.threads === count) addRun(comparison.series, engine, order, run);
      else {
        skipped.push({
          peer: seriesLabel({ peer: engine.name, threads: count }),
          reason: `it ran ${run.threads}`,
        });
        turns = turns.filter((other) => other !== turn);
      }
    }
  }
  return comparison;
}

async function write(comparison: Comparison): Promise<void> {
  const files = {
    "latest.md": table(comparison),
    "latest.svg": plot(comparison),
    "latest.json": `${JSON.stringify(comparison, undefined, 1)}\n`,
  };
  await Deno.mkdir(RESULTS, { recursive: true });
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(new URL(name, RESULTS), text);
}

if (Deno.args.includes("--help")) {
  console.log(USAGE);
} else {
  const comparison = await compare(options());
  await write(comparison);
  console.log(table(comparison));
}
