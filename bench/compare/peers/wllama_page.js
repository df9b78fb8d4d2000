// The page in which wllama is measured: `measure` is called from outside, see `wllama.mjs`.
const { LoggerWithoutDebug, Wllama } = await import(new URL("/esm/index.js", location.href));

/**
 * Runs a prompt; gives the milliseconds to the first token, those after it, and wllama's own figures. wllama takes text
 * only, so the text has been made to be just as many tokens as wanted, and that is checked.
 */
async function complete(wllama, { text, tokens }, maxTokens) {
  let [first, last, timings] = [0, 0, undefined];
  const started = performance.now();
  const chunks = await wllama.createCompletion({
    prompt: text,
    max_tokens: maxTokens,
    temperature: 0,
    ignore_eos: true,
    cache_prompt: false,
    timings_per_token: true,
    stream: true,
  });
  for await (const chunk of chunks) {
    last = performance.now();
    first ||= last;
    timings = chunk.timings ?? timings;
  }
  if (timings?.prompt_n !== tokens || timings.predicted_n !== maxTokens) {
    const done = `${timings?.prompt_n} prompt tokens and ${timings?.predicted_n} others`;
    throw new Error(`wllama processed ${done}, not ${tokens} and ${maxTokens}`);
  }
  return { firstMs: first - started, restMs: last - first, timings };
}

globalThis.measure = async ({ prompts, promptTokens, genTokens, threads }) => {
  const wllama = new Wllama({ default: "/esm/wasm/wllama.wasm" }, {
    logger: LoggerWithoutDebug,
    suppressNativeLog: true,
  });
  const file = await (await fetch("/model.gguf")).blob();
  const loadStart = performance.now();
  await wllama.loadModel([file], {
    n_ctx: promptTokens + genTokens + 16,
    n_batch: promptTokens,
    n_threads: threads,
    n_gpu_layers: 0,
  });
  const load_ms = performance.now() - loadStart;
  // Short: enough for the engine to compile its hot loops.
  await complete(wllama, prompts.warmUp, 4);
  const prefill = await complete(wllama, prompts.prefill, 1);
  const decode = await complete(wllama, prompts.decode, genTokens + 1);
  // The better of what the page sees and what wllama says of itself.
  const seen = { prefill: promptTokens / prefill.firstMs * 1000, decode: genTokens / decode.restMs * 1000 };
  const own = { prefill: prefill.timings.prompt_per_second, decode: decode.timings.predicted_per_second };
  return {
    threads: wllama.getNumThreads(),
    load_ms,
    prefill: Math.max(seen.prefill, own.prefill),
    decode: Math.max(seen.decode, own.decode),
    seen,
    own,
  };
};
