/**
 * The engines that are compared: how each is started, and what it takes to have it.
 *
 * @module
 */
import { type Command, lastJson } from "../support/process.ts";
import { exists } from "../support/options.ts";
import { promptMaker } from "./prompt.ts";

/** What one run of a peer measures. */
export interface Task {
  /** Path of the model file. */
  readonly model: string;
  /** Tokens of the prefill. */
  readonly promptTokens: number;
  /** Tokens to decode. */
  readonly genTokens: number;
  /** Threads that compute. */
  readonly threads: number;
}

/** Figures of one run. */
export interface PeerRun {
  /** Version of the peer. */
  readonly version: string;
  /** Threads that it really used. */
  readonly threads: number;
  /** Milliseconds of loading. */
  readonly load_ms: number;
  /** Prompt tokens a second. */
  readonly prefill: number;
  /** Decoded tokens a second. */
  readonly decode: number;
}

/** An engine. */
export interface Peer {
  /** Name of the package. */
  readonly name: string;
  /** What it is, for the table. */
  readonly about: string;
  /** Why it cannot run here; nothing where it can. */
  missing(): string | undefined;
  /** Runs it once, in a process of its own. */
  run(task: Task): Promise<PeerRun>;
}

const PEERS_FOLDER = new URL("./peers/", import.meta.url);
const CLI = new URL("../../cli.ts", import.meta.url);
const INSTALL = "npm install --ignore-scripts --prefix bench/compare";
const BROWSERS = ["chromium", "chromium-browser", "google-chrome"];

/** LLMForge itself, through its command line. */
export function llmforge(backend: string, version: string): Peer {
  return {
    name: "llmforge",
    about: `LLMForge, ${backend} in Deno`,
    missing: () => undefined,
    async run({ model, promptTokens, genTokens, threads }) {
      const settings = {
        backend,
        threads,
        "prompt-tokens": promptTokens,
        "gen-tokens": genTokens,
        repeat: 1,
      };
      const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
      const args = ["run", "-A", CLI.href, "bench", model, "--json", ...flags];
      const { runs: [prefill, decode], ...result } = await lastJson<CliResult>({
        program: Deno.execPath(),
        args,
      });
      return {
        version,
        threads: result.threads,
        load_ms: result.load_ms,
        prefill: prefill.tok_s[0],
        decode: decode.tok_s[0],
      };
    },
  };
}

/** What `llmforge bench --json` prints. */
interface CliResult {
  readonly threads: number;
  readonly load_ms: number;
  readonly runs: readonly { readonly tok_s: readonly number[] }[];
}

/** llama.cpp as native code. */
export const nodeLlamaCpp: Peer = {
  name: "node-llama-cpp",
  about: "llama.cpp, native, in Node",
  missing: () => missingPackage("NODE_LLAMA_CPP", "node-llama-cpp"),
  run: (task) => lastJson(nodeCommand("node_llama_cpp.mjs", { ...task, home: home("NODE_LLAMA_CPP") })),
};

/** llama.cpp as WebAssembly in a browser. */
export const wllama: Peer = {
  name: "wllama",
  about: "llama.cpp, WebAssembly, in headless Chromium",
  missing() {
    const lacking = missingPackage("WLLAMA", "@wllama/wllama") ?? missingPackage("WLLAMA", "playwright-core");
    if (lacking !== undefined) return lacking;
    return browser() === undefined ? "no Chromium; install one, or name it in CHROMIUM" : undefined;
  },
  async run(task) {
    const prompt = await promptMaker(task.model);
    const prompts = { warmUp: prompt(32), prefill: prompt(task.promptTokens), decode: prompt(1) };
    const settings = { ...task, prompts, home: home("WLLAMA"), chromium: browser() };
    return await lastJson<PeerRun>(nodeCommand("wllama.mjs", settings));
  },
};

function nodeCommand(script: string, settings: object): Command {
  return {
    program: "node",
    args: [decodeURIComponent(new URL(script, PEERS_FOLDER).pathname), JSON.stringify(settings)],
  };
}

/** The folder whose `node_modules` holds a peer: what the variable says, else this one. */
function home(variable: string): string {
  return Deno.env.get(variable) ??
    decodeURIComponent(new URL(".", import.meta.url).pathname).replace(/\/$/, "");
}

function missingPackage(variable: string, name: string): string | undefined {
  if (exists(`${home(variable)}/node_modules/${name}/package.json`)) return undefined;
  return `${name} is not installed; run ${INSTALL}`;
}

/** The browser that `CHROMIUM` names, else the first that is found on the path. */
function browser(): string | undefined {
  const named = Deno.env.get("CHROMIUM");
  if (named !== undefined) return named;
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return BROWSERS.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find(exists);
}
