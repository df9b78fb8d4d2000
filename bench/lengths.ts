/**
 * What a token costs by the length of its context: prefill and decode from 128 tokens to all that the model's context
 * holds. Attention alone may grow, and it grows with a straight line. Writes `bench/history/lengths.{md,svg}`.
 *
 *     deno run -A bench/lengths.ts [MODEL] [--threads 1] [--rounds 3] [--longest 8192] [--no-save]
 *
 * See `docs/benchmarks.md`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { load, type Model } from "../mod.ts";
import { sharedUrl } from "../tests/support/shared.ts";
import { fitLine, type Point } from "./lengths/line.ts";
import { type Curve, plot } from "./lengths/plot.ts";
import { tokenIds } from "./runner/tests.ts";
import { describeMachine, describeRevision } from "./support/machine.ts";
import { baseName, threadText, whole } from "./support/options.ts";
import { median } from "./support/statistics.ts";

/** The first length; each of the others is twice the one before. */
const SHORTEST = 128;
/** Tokens that are decoded behind each prompt. */
const DECODED = 24;
const RESULTS = new URL("./history/", import.meta.url);

interface Cost {
  readonly prefill: number;
  readonly decode: number;
}

/** Milliseconds a token of a prompt of this length, and of the tokens behind it. */
async function cost(model: Model, length: number): Promise<Cost> {
  const stats = await model.generate(tokenIds(model, length), {
    maxTokens: DECODED + 1,
    temperature: 0,
    ignoreEos: true,
  }).stats();
  return { prefill: 1000 / stats.prefillTokensPerSecond, decode: 1000 / stats.decodeTokensPerSecond };
}

async function measure(model: Model, lengths: readonly number[], rounds: number): Promise<Cost[]> {
  const costs = lengths.map((): Cost[] => []);
  // The engine compiles its hot loops.
  await cost(model, SHORTEST);
  for (let round = 0; round < rounds; round++) {
    for (const [i, length] of lengths.entries()) {
      console.error(`round ${round + 1} of ${rounds}: ${length} tokens`);
      costs[i].push(await cost(model, length));
    }
  }
  return costs.map((list) => ({
    prefill: median(list.map(({ prefill }) => prefill)),
    decode: median(list.map(({ decode }) => decode)),
  }));
}

function curve(what: "prefill" | "decode", points: readonly Point[]): Curve {
  const line = fitLine(points);
  const slope = (1024 * line.slope).toFixed(2);
  const label = `${what}: ${line.base.toFixed(2)} ms a token, and ${slope} ms for 1,024 tokens of context`;
  return { label, points, line };
}

/** A row a length: what was measured and what the line says. */
function table(curves: readonly Curve[], lengths: readonly number[]): string {
  const cells = (i: number): string =>
    curves.map(({ points, line }) => {
      const { length, milliseconds } = points[i];
      return `${milliseconds.toFixed(2)} | ${(line.base + line.slope * length).toFixed(2)}`;
    }).join(" | ");
  return [
    "| context | prefill, ms a token | line | decode, ms a token | line |",
    "|---|---|---|---|---|",
    ...lengths.map((length, i) => `| ${length} | ${cells(i)} |`),
    "",
    ...curves.map(({ label, line }) =>
      `- ${label}; at most ${(100 * line.deviation).toFixed(1)} % off the line`
    ),
    "",
  ].join("\n");
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  allowNegative: true,
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    longest: { type: "string", default: "8192" },
    save: { type: "boolean", default: true },
  },
});
const path = positionals[0] ??
  decodeURIComponent(sharedUrl("models/smollm2-135m-instruct-q4_1.gguf").pathname);
const threads = whole("threads", values.threads);
// Prompts begin alike, and each is to be computed whole.
await using model = await load(path, { threads, prefixCache: false });
const most = Math.min(whole("longest", values.longest, SHORTEST), model.contextLength - DECODED);
const lengths: number[] = [];
for (let length = SHORTEST; length <= most; length *= 2) lengths.push(length);
// The last one may end a few tokens before the power of two, where the context does.
if (lengths.at(-1) !== most) lengths.push(most);
const costs = await measure(model, lengths, whole("rounds", values.rounds));
const curves = (["prefill", "decode"] as const).map((what) =>
  // A token of a prompt sees half of it on average.
  curve(what, lengths.map((length, i) => ({ length, milliseconds: costs[i][what] })))
);
const machine = describeMachine();
const { commit } = await describeRevision();
const what = `${baseName(path)} on ${model.backend.name}, ${threadText(threads)}`;
const where = `${machine.cpu}, ${machine.cores} cores; ${commit ?? "no commit"}`;
const text = `# Cost by length\n\n${what}; ${where}\n\n${table(curves, lengths)}`;
console.log(text);
if (values.save) {
  await Deno.mkdir(RESULTS, { recursive: true });
  await Deno.writeTextFile(new URL("lengths.md", RESULTS), text);
  await Deno.writeTextFile(
    new URL("lengths.svg", RESULTS),
    plot(curves, `Milliseconds a token by context: ${what}`, where),
  );
}
