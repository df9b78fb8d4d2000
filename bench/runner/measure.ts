/**
 * Measures configurations in interleaved rounds: each round starts a fresh process for every configuration in turn,
 * so what disturbs the machine for a while disturbs all of them, and what differs from process to process shows up in
 * the spread.
 *
 * @module
 */
import { runLines } from "../support/process.ts";
import { type Figures, type Message, type Order, type Report, unitOf } from "./settings.ts";

/** What is known of a configuration after some rounds. */
export interface Measured {
  /** Device and its features; nothing where the configuration cannot be run. */
  readonly device?: string;
  /** Figures by test. */
  readonly figures: Readonly<Record<string, Figures>>;
  /** Why a test has no figures, by test; under `all` why none has. */
  readonly unavailable: Readonly<Record<string, string>>;
}

interface Round {
  readonly firstTokenMs: number;
  readonly report: Report;
}

const CHILD = new URL("./child.ts", import.meta.url);

/** Runs the rounds; `onRound` hears of each before it begins. */
export async function measure(
  orders: readonly Order[],
  rounds: number,
  onRound: (round: number, order: Order) => void,
): Promise<Map<Order, Measured>> {
  const results = new Map(orders.map((order) => [order, [] as Round[]]));
  const refused = new Map<Order, string>();
  for (let round = 0; round < rounds; round++) {
    // Another one begins each round: none always runs on the machine that the same other one has warmed.
    const turn = orders.map((_, i) => orders[(i + round) % orders.length]);
    for (const order of turn.filter((candidate) => !refused.has(candidate))) {
      onRound(round, order);
      const result = await runRound(order);
      if (typeof result === "string") refused.set(order, result);
      else results.get(order)?.push(result);
    }
  }
  return new Map(orders.map((order) => {
    const reason = refused.get(order);
    if (reason !== undefined) return [order, { figures: {}, unavailable: { all: reason } }];
    return [order, summarize(results.get(order) ?? [])];
  }));
}

/** The figures of one round, or why there are none. */
async function runRound(order: Order): Promise<Round | string> {
  let firstTokenMs = NaN;
  let last: Message | undefined;
  const started = performance.now();
  const args = ["run", "-A", CHILD.href, JSON.stringify(order)];
  await runLines({ program: Deno.execPath(), args }, (line) => {
    last = JSON.parse(line) as Message;
    if (last.event === "first token") firstTokenMs = performance.now() - started;
  });
  if (last?.event === "unavailable") return last.reason;
  if (last?.event !== "done") throw new Error("a round ended without figures; run its order by hand");
  return { firstTokenMs, report: last.report };
}

function summarize(rounds: readonly Round[]): Measured {
  const figures: Record<string, { unit: Figures["unit"]; values: number[] }> = {};
  for (const { firstTokenMs, report } of rounds) {
    const all = { ...report.rates, load_ms: report.loadMs, first_token_ms: firstTokenMs };
    for (const [test, value] of Object.entries(all)) {
      (figures[test] ??= { unit: unitOf(test), values: [] }).values.push(Number(value.toPrecision(5)));
    }
  }
  return { device: rounds[0]?.report.device, figures, unavailable: rounds[0]?.report.unavailable ?? {} };
}
