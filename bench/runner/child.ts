/**
 * One round of one configuration, in a process of its own: load, first token, warm-up, then each test once. The order
 * is a JSON argument; each line of standard output is a message.
 *
 * @module
 */
import { BackendUnavailableError, load, type Model } from "../../mod.ts";
import type { Message, Order, Report } from "./settings.ts";

/** Tokens of the generation before the tests, with which the engine compiles its hot loops. */
const WARM_UP_TOKENS = 32;
const PROMPT = "Once upon a time";

function say(message: Message): void {
  console.log(JSON.stringify(message));
}

async function firstToken(model: Model): Promise<void> {
  const prompt = model.hasTokenizer ? PROMPT : [1];
  for await (const _ of model.generate(prompt, { maxTokens: 1, temperature: 0, ignoreEos: true }));
}

async function measure(model: Model, order: Order): Promise<Pick<Report, "rates" | "unavailable">> {
  // Imported here, so that the time to the first token has nothing in it but the library.
  const { endToEndTests, tokenIds } = await import("./tests.ts");
  const tests = endToEndTests(order, model);
  const warmUp = { maxTokens: WARM_UP_TOKENS, temperature: 0, ignoreEos: true };
  await model.logits(tokenIds(model, Math.min(order.promptTokens, model.contextLength)));
  await model.generate([1], warmUp).stats();
  const rates: Record<string, number> = {};
  const unavailable: Record<string, string> = {};
  for (const { names, obstacle, run } of tests) {
    const reason = obstacle?.(model);
    const figures = reason === undefined ? await run(model) : [];
    names.forEach((name, i) => {
      if (reason === undefined) rates[name] = figures[i];
      else unavailable[name] = reason;
    });
  }
  return { rates, unavailable };
}

const order: Order = JSON.parse(Deno.args[0]);
const { path, backend, threads } = order;
try {
  const started = performance.now();
  // Prompts begin alike, and each is to be computed whole.
  await using model = await load(path, { backend, threads, prefixCache: false });
  const loadMs = performance.now() - started;
  const { device } = model.backend;
  if (device.threads === threads) {
    await firstToken(model);
    say({ event: "first token" });
    const deviceText = [device.name, ...device.features].join(", ");
    say({ event: "done", report: { loadMs, device: deviceText, ...await measure(model, order) } });
  } else {
    say({ event: "unavailable", reason: `${backend} runs ${device.threads} of ${threads} threads` });
  }
} catch (error) {
  if (!(error instanceof BackendUnavailableError)) throw error;
  say({ event: "unavailable", reason: error.message });
}
