import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { FIXTURES, runCli, runJson } from "../support/run_cli.ts";

const STORY = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/stories/golden.json", import.meta.url)),
);
const LLAMA = `${FIXTURES}/models/llama`;
const GOLDEN = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/models/llama/golden.json", import.meta.url)),
);

Deno.test("cli: a story with no permission and no option, text on stdout and one line of timings on stderr", async () => {
  const { code, stdout, stderr } = await runCli(["Once upon a time"]);
  assertEquals(code, 0);
  assert(stdout.length > 40 && stdout.endsWith("\n"), stdout);
  assertEquals(stderr.trimEnd().split("\n").length, 1);
  assertStringIncludes(stderr, "tokens/s");
});

Deno.test("cli: the greedy story is the reference's", async () => {
  const [{ prompt, prompt_ids, greedy_ids }] = STORY.cases;
  // Weights are rounded to 8 bits in the embedded model, so only the beginning is sure to be the same.
  const result = await runJson(["run", prompt, "--temperature", "0", "--max-tokens", "4"]);
  assertEquals(result.prompt_ids, prompt_ids);
  assertEquals(result.ids, greedy_ids.slice(0, 4));
});

Deno.test("cli run --json: the object is the contract's", async () => {
  const result = await runJson(["Once upon a time", "--max-tokens", "5", "--seed", "1"]);
  assertEquals(Object.keys(result).sort(), [
    "backend",
    "finish_reason",
    "ids",
    "memory",
    "model",
    "prompt_ids",
    "text",
    "threads",
    "timings",
  ]);
  assertEquals([result.finish_reason, result.ids.length, result.model], ["length", 5, "stories"]);
  assert(result.text.length > 0 && result.threads >= 1);
  const { timings, memory } = result;
  assertEquals([timings.prefill_tokens, timings.decode_tokens], [result.prompt_ids.length, 4]);
  for (const name of ["load_ms", "prefill_tok_s", "decode_tok_s", "ttft_ms"]) assert(timings[name] > 0, name);
  for (const name of ["weights", "kv", "arena", "peak_rss"]) assert(memory[name] > 0, name);
});

Deno.test("cli run --beams: sequences and scores are the reference's, the best is the text", async () => {
  const [{ input_ids, beam }] = GOLDEN.prompts;
  const args = ["run", "--model", LLAMA, "--kv", "f32", "--prompt-ids", input_ids.join(), "--ignore-eos"];
  const result = await runJson([
    ...args,
    ...["--beams", `${beam.num_beams}`, "--length-penalty", `${beam.length_penalty}`],
    ...(beam.early_stopping ? ["--early-stopping"] : []),
    ...["--max-tokens", `${beam.max_new_tokens}`],
  ], { permissions: ["-R"] });
  assertEquals(result.beams.map(({ ids }: { ids: number[] }) => ids), beam.sequences);
  for (const [i, { score }] of result.beams.entries()) assert(Math.abs(score - beam.scores[i]) <= 1e-4);
  assertEquals([result.ids, result.finish_reason], [beam.sequences[0], "length"]);
});

Deno.test("cli run --beams: the best text is printed", async () => {
  const args = ["run", "Once upon a time", "--max-tokens", "8"];
  const { text, beams } = await runJson([...args, "--beams", "3"]);
  assertEquals(beams.length, 3);
  assertEquals((await runCli([...args, "--beams", "3", "--quiet"])).stdout, text + "\n");
});

Deno.test("cli run: the same seed tells the same story, another seed another", async () => {
  const [first, again, other] = await Promise.all(
    ["4", "4", "5"].map((seed) =>
      runJson(["Once", "--seed", seed, "--temperature", "1", "--max-tokens", "20"])
    ),
  );
  assertEquals(again.ids, first.ids);
  assertNotEquals(other.ids, first.ids);
});

Deno.test("cli run: what is streamed is the text of --json, and --quiet says nothing more", async () => {
  const args = ["Once upon a time", "--seed", "2", "--max-tokens", "12"];
  const { text } = await runJson(args);
  const plain = await runCli([...args, "--quiet"]);
  assertEquals([plain.stdout, plain.stderr], [text + "\n", ""]);
});

Deno.test("cli run: - reads the prompt from standard input, without the line break of echo", async () => {
  const result = await runJson(["-", "--max-tokens", "1"], { stdin: "Once upon a time\n" });
  assertEquals(result.prompt_ids, STORY.cases[0].prompt_ids);
});

Deno.test("cli run: --stop ends before the text, and may be repeated", async () => {
  const args = ["Once upon a time", "--temperature", "0", "--max-tokens", "60"];
  const { text } = await runJson(args);
  const stop = text.slice(12, 17);
  const result = await runJson([...args, "--stop", "never said", "--stop", stop]);
  assertEquals([result.text, result.finish_reason], [text.slice(0, text.indexOf(stop)), "stop"]);
});

Deno.test("cli run: --max-tokens 0 processes the prompt only", async () => {
  const result = await runJson(["Once upon a time", "--max-tokens", "0"]);
  assertEquals([result.text, result.ids, result.finish_reason], ["", [], "length"]);
});

for (const backend of ["wasm", "reference"]) {
  Deno.test(`cli run: a model without tokenizer goes on from ids as the reference does, on ${backend}`, async () => {
    for (const { input_ids, greedy } of GOLDEN.prompts) {
      const result = await runJson([
        ...["run", "--model", LLAMA, "--backend", backend, "--kv", "f32", "--prompt-ids", input_ids.join()],
        ...["--max-tokens", `${greedy.new_tokens.length}`, "--ignore-eos", "--temperature", "0"],
      ], { permissions: ["-R"] });
      assertEquals([result.ids, result.text, result.backend], [greedy.new_tokens, "", backend]);
    }
  });
}

Deno.test("cli run: --threads and --context are accepted, and the result says what was used", async () => {
  const result = await runJson(["Once", "--threads", "64", "--context", "32", "--max-tokens", "2"]);
  assert(result.threads >= 1 && result.threads <= 64);
  const whole = await runJson(["Once", "--max-tokens", "2"]);
  assert(result.memory.kv < whole.memory.kv);
});

Deno.test("cli run: --kv f16 halves the cache", async () => {
  const [f32, f16] = await Promise.all(
    ["f32", "f16"].map((kv) => runJson(["Once", "--kv", kv, "--max-tokens", "2"])),
  );
  assertEquals(f32.memory.kv, 2 * f16.memory.kv);
});

Deno.test("cli run: a text ends with its context, unless --context-full says otherwise", async () => {
  const args = ["Once upon a time", "--context", "96", "--max-tokens", "200", "--ignore-eos"];
  const { code, stderr } = await runCli(args);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "the context holds 96");
  const more = ["--context-full", "slide", "--keep", "8"];
  assertEquals((await runJson([...args, ...more])).ids.length, 200);
  assertEquals((await runCli([...args, "--context-full", "wrap"])).code, 2);
});
