/**
 * The end-to-end benchmark: prefill, decode, decode at length, batches, load and first token, on every backend that is
 * asked for. Figures go to `bench/history`; `--compare` holds them against the last ones of this machine.
 *
 *     deno task bench [MODEL] [--backend wasm,native] [--threads 1,2] [--rounds 5] [--compare] [--no-save]
 *
 * See `docs/benchmarks.md`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { BACKEND_NAMES } from "../src/backends/select.ts";
import type { BackendName } from "../src/backends/backend.ts";
import { sharedUrl } from "../tests/support/shared.ts";
import { appendEntry, type HistoryEntry, lastEntry } from "./runner/history.ts";
import { measure } from "./runner/measure.ts";
import { fails, judge } from "./runner/regression.ts";
import type { Order } from "./runner/settings.ts";
import { figuresText, headline } from "./runner/text.ts";
import { describeMachine, describeRevision, describeRuntime } from "./support/machine.ts";
import { baseName, exists, list, threadText, whole } from "./support/options.ts";

/** Model to take where none is named, if it is there. */
const DEFAULT_MODEL = sharedUrl("models/smollm2-135m-instruct-q4_1.gguf");

/** Name of the model that is part of the module. */
const EMBEDDED = "stories";
/** Mean number of running processes above which figures are worth little. */
const BUSY = 0.5;

const USAGE = `usage: deno task bench [MODEL] [options]
  MODEL                 any GGUF or safetensors file, or \`stories\`, the embedded model;
                        default: SmolLM2 where it lies beside the checkout, else the embedded model
  --backend a,b         of ${BACKEND_NAMES.join(", ")}; default: wasm
  --threads 1,2         default: 1
  --rounds N            default: 5
  --prompt-tokens N     default: 512
  --gen-tokens N        default: 128
  --context-tokens N    tokens before the decode at length; default: 2048
  --compare             hold against the last run of this machine and settings; exit code 1 on a regression
  --no-save             leave the history as it is`;

function orders(): { orders: Order[]; rounds: number; compare: boolean; save: boolean } {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    allowNegative: true,
    options: {
      backend: { type: "string", default: "wasm" },
      threads: { type: "string", default: "1" },
      rounds: { type: "string", default: "5" },
      "prompt-tokens": { type: "string", default: "512" },
      "gen-tokens": { type: "string", default: "128" },
      "context-tokens": { type: "string", default: "2048" },
      compare: { type: "boolean", default: false },
      save: { type: "boolean", default: true },
    },
  });
  const path = modelPath(positionals[0]);
  const common = {
    path,
    model: path === undefined ? EMBEDDED : baseName(path),
    modelBytes: path === undefined ? 0 : Deno.statSync(path).size,
    promptTokens: whole("prompt-tokens", values["prompt-tokens"]),
    genTokens: whole("gen-tokens", values["gen-tokens"]),
    contextTokens: whole("context-tokens", values["context-tokens"]),
  };
  const threads = list(values.threads).map((count) => whole("threads", count));
  return {
    orders: list(values.backend).map(backendName).flatMap((backend) =>
      threads.map((count) => ({ ...common, backend, threads: count }))
    ),
    rounds: whole("rounds", values.rounds),
    compare: values.compare,
    save: values.save,
  };
}

/** The file to load; nothing for the model that is part of the module. */
function modelPath(argument: string | undefined): string | undefined {
  if (argument !== undefined) return argument === EMBEDDED ? undefined : argument;
  return exists(DEFAULT_MODEL) ? decodeURIComponent(DEFAULT_MODEL.pathname) : undefined;
}

function backendName(text: string): BackendName {
  const name = BACKEND_NAMES.find((candidate) => candidate === text);
  if (name === undefined) {
    throw new Error(`there is no backend ${text}; there are ${BACKEND_NAMES.join(", ")}`);
  }
  return name;
}

/** Measures, prints, compares and saves; gives the exit code. */
async function main(): Promise<number> {
  const { orders: wanted, rounds, compare, save } = orders();
  const [machine, revision, runtime] = [describeMachine(), await describeRevision(), describeRuntime()];
  const [load] = Deno.loadavg();
  if (load > BUSY) console.error(`other work is running (load ${load.toFixed(1)}): figures will be too low`);
  const measured = await measure(wanted, rounds, (round, { backend, threads }) => {
    console.error(`round ${round + 1} of ${rounds}: ${backend}, ${threadText(threads)}`);
  });
  let failed = false;
  for (const [{ path: _, ...settings }, { device, figures, unavailable }] of measured) {
    const time = new Date().toISOString();
    const entry: HistoryEntry = {
      time,
      revision,
      machine,
      runtime,
      load,
      device,
      settings,
      figures,
      unavailable,
    };
    const before = compare ? await lastEntry(machine, settings) : undefined;
    const verdicts = before ? judge(before.figures, figures) : [];
    console.log(headline(entry, rounds));
    if (compare) console.log(before ? `against ${headline(before)}` : "nothing to compare with yet");
    console.log(figuresText(entry, verdicts));
    failed ||= verdicts.some(fails);
    if (save && Object.keys(figures).length > 0) await appendEntry(entry);
  }
  return failed ? 1 : 0;
}

if (Deno.args.includes("--help")) {
  console.log(USAGE);
} else {
  Deno.exit(await main());
}
