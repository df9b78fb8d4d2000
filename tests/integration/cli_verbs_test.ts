import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import { FIXTURES, runCli, runJson } from "../support/run_cli.ts";

const read = ["-R"];
const CASES = ["llama", "llama-gqa", "llama-gqa-sharded", "llama-gqa-bf16", "llama-gqa-f16", "llama3-rope"];

async function golden(name: string) {
  return JSON.parse(
    await Deno.readTextFile(new URL(`../fixtures/models/${name}/golden.json`, import.meta.url)),
  );
}

Deno.test("cli inspect: what is in the built-in model, without a permission", async () => {
  const found = await runJson(["inspect"]);
  assertEquals([found.format, found.architecture, found.context], ["gguf", "llama", 512]);
  assertEquals(found.tensors[0], { name: "token_embd.weight", dtype: "q8_0", shape: [2048, 128] });
  const elements = found.tensors.map(({ shape }: { shape: number[] }) => shape.reduce((a, b) => a * b, 1));
  assertEquals(found.parameters, elements.reduce((a: number, b: number) => a + b));
  const { memory } = found;
  assertEquals(memory.total, memory.weights + memory.kv);
  assert(memory.fits && found.bytes > 1e6);
  assertEquals(found.metadata["general.architecture"], "llama");
});

Deno.test("cli inspect: the cache follows --context and --kv", async () => {
  const [long, short] = await Promise.all(
    [["--kv", "f32"], ["--kv", "f16", "--context", "256"]].map((flags) => runJson(["inspect", ...flags])),
  );
  assertEquals([long.memory.context, short.memory.context], [512, 256]);
  assertEquals(long.memory.kv, 4 * short.memory.kv);
});

Deno.test("cli inspect: folders and shards, and a model that cannot be loaded says why", async () => {
  for (const name of ["llama", "llama-gqa-sharded"]) {
    const { tensors } = await golden(name);
    const found = await runJson(["inspect", `${FIXTURES}/models/${name}`], { permissions: read });
    assertEquals([found.format, found.architecture, found.context], ["safetensors", "llama", 128]);
    const shapes = found.tensors.map(({ name, shape }: { name: string; shape: number[] }) => [name, shape]);
    assertEquals(Object.fromEntries(shapes), tensors);
  }
  const alone = await runJson(["inspect", `${FIXTURES}/models/llama`, "--context", "4096"], {
    permissions: read,
  });
  assertEquals(alone.memory, null);
  assertMatch(alone.problem, /4096/);
});

Deno.test("cli inspect: the table for people", async () => {
  const { code, stdout } = await runCli(["inspect"]);
  assertEquals(code, 0);
  assertMatch(stdout, /^architecture +llama$/m);
  assertMatch(stdout, /^token_embd\.weight +q8_0 +\[2048, 128\]$/m);
});

Deno.test("cli tokenize: ids and pieces; --special decides about special tokens in the text", async () => {
  const plain = await runJson(["tokenize", "Once upon a time"]);
  assertEquals(plain.ids, [0, 596, 631, 259, 430]);
  assertEquals(plain.pieces.slice(1).join(""), "Once upon a time");
  const [text, special] = await Promise.all(
    [[], ["--special"]].map((flags) => runJson(["tokenize", "<|endoftext|>", ...flags])),
  );
  assertEquals(special.ids, [0, 0]);
  assert(text.ids.length > 2);
});

Deno.test("cli tokenize: - reads standard input", async () => {
  const { ids } = await runJson(["tokenize", "-"], { stdin: "Once upon a time" });
  assertEquals(ids, [0, 596, 631, 259, 430]);
});

for (const backend of ["wasm", "reference"]) {
  Deno.test(`cli logits: every llama case is the reference's on ${backend}`, async (t) => {
    for (const name of CASES) {
      await t.step(name, async () => {
        for (const { input_ids, logits_last, argmax } of (await golden(name)).prompts) {
          const args = ["logits", `${FIXTURES}/models/${name}`, "--ids", input_ids.join()];
          const result = await runJson([...args, "--kv", "f32", "--backend", backend], { permissions: read });
          assertEquals([result.ids, result.argmax], [input_ids, argmax.at(-1)]);
          assertEquals(result.logits.length, logits_last.length);
          const worst = Math.max(
            ...logits_last.map((x: number, i: number) => Math.abs(x - result.logits[i])),
          );
          assert(worst <= 1e-4, `${name} differs by ${worst}`);
        }
      });
    }
  });
}

Deno.test("cli logits --top: the highest in order", async () => {
  const whole = await runJson(["logits", "--ids", "1,2,3"]);
  const { top, argmax, logits } = await runJson(["logits", "--ids", "1,2,3", "--top", "4"]);
  assertEquals(logits, undefined);
  const order = [...whole.logits.keys()].sort((a, b) => whole.logits[b] - whole.logits[a] || a - b).slice(
    0,
    4,
  );
  assertEquals(top, order.map((id) => [id, whole.logits[id]]));
  assertEquals([argmax, whole.argmax], [order[0], order[0]]);
});

Deno.test("cli eval: windows do not overlap, and each one's first token is not counted", async () => {
  const text = "Once upon a time, there was a little girl who had a red ball. She loved the ball very much.";
  const { ids } = await runJson(["tokenize", "-"], { stdin: text });
  for (const window of [8, 512]) {
    const result = await runJson(["eval", "--text", "-", "--context", `${window}`], { stdin: text });
    assertEquals(result.tokens, ids.length - Math.ceil(ids.length / window));
    assertAlmostEquals(result.perplexity, Math.exp(result.nll), 1e-9);
    assert(result.perplexity > 1 && result.perplexity < 60, `${result.perplexity}`);
  }
});

Deno.test("cli eval: the score is that of the logits", async () => {
  const text = "Once upon a time";
  const { ids } = await runJson(["tokenize", text]);
  let sum = 0;
  for (let i = 1; i < ids.length; i++) {
    const { logits } = await runJson(["logits", "--ids", ids.slice(0, i).join()]);
    const total = logits.reduce((all: number, logit: number) => all + Math.exp(logit), 0);
    sum -= logits[ids[i]] - Math.log(total);
  }
  const { nll } = await runJson(["eval", "--text", "-"], { stdin: text });
  assertAlmostEquals(nll, sum / (ids.length - 1), 1e-3);
});

Deno.test("cli bench: rates of each repeat", async () => {
  const flags = ["--prompt-tokens", "16", "--gen-tokens", "4", "--repeat", "2"];
  const result = await runJson(["bench", ...flags]);
  assertEquals(Object.keys(result).sort(), ["backend", "load_ms", "runs", "threads"]);
  assertEquals(result.runs.map(({ test }: { test: string }) => test), ["pp16", "tg4"]);
  for (const { tok_s } of result.runs) {
    assertEquals(tok_s.length, 2);
    assert(tok_s.every((rate: number) => rate > 0));
  }
  const { stdout } = await runCli(["bench", ...flags, "--gen-tokens", "0", "--quiet"]);
  assertMatch(stdout, /pp16: \d+/);
  assert(!stdout.includes("tg"));
});

Deno.test("cli doctor: every backend has a verdict, and the chosen one works", async () => {
  // Graphics drivers have their own things to say on standard error.
  const { code, stdout } = await runCli(["doctor", "--json"]);
  assertEquals(code, 0);
  const { chosen, backends } = JSON.parse(stdout);
  assert(backends.length >= 4);
  for (const { name, available, reason, device } of backends) {
    assert(typeof available === "boolean" && reason.length > 0, name);
    assertEquals(available, typeof device === "string");
  }
  assert(
    backends.some(({ name, available }: { name: string; available: boolean }) =>
      name === chosen && available
    ),
  );
});
