import { assert, assertEquals, assertMatch } from "@std/assert";
import { withFolder } from "../support/goldens.ts";
import { FIXTURES, runCli, runJson } from "../support/run_cli.ts";

const permissions = ["-R"];
const MODELS = `${FIXTURES}/models`;

async function golden(name: string) {
  return JSON.parse(
    await Deno.readTextFile(new URL(`../fixtures/models/${name}/golden.json`, import.meta.url)),
  );
}

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assertEquals(actual.length, expected.length);
  expected.forEach((x, i) =>
    assert(Math.abs(x - actual[i]) <= 1e-4, `element ${i} is ${actual[i]}, not ${x}`)
  );
}

Deno.test("cli embed: a batch of ids gives the reference's vectors, for each pooling", async () => {
  const { padded_batch: batch } = await golden("bert");
  const inputs: number[][] = batch.input_ids.map((ids: number[], line: number) =>
    ids.filter((_, i) => batch.attention_mask[line][i] === 1)
  );
  const args = ["embed", `${MODELS}/bert`, "--kv", "f32", ...inputs.flatMap((ids) => ["--ids", ids.join()])];
  const mean = await runJson([...args, "--pooling", "mean"], { permissions });
  assertEquals(mean.dim, 64);
  batch.mean_pooled_normalized.forEach((x: number[], i: number) => assertClose(mean.embeddings[i], x));
  const cls = await runJson([...args, "--pooling", "cls", "--no-normalize"], { permissions });
  batch.cls.forEach((x: number[], i: number) => assertClose(cls.embeddings[i], x));
  const none = await runJson([...args, "--pooling", "none", "--no-normalize"], { permissions });
  assertEquals(none.embeddings.length, inputs.flat().length);
  assertEquals(none.embeddings[0], cls.embeddings[0]);
});

Deno.test("cli embed: texts, and the table for people", async () => {
  const model = `${MODELS}/bert-rerank`;
  const { embeddings, dim } = await runJson(["embed", model, "the red house", "a cat"], { permissions });
  assertEquals([embeddings.length, dim], [2, 32]);
  for (const vector of embeddings) {
    const length = vector.reduce((sum: number, x: number) => sum + x * x, 0);
    assert(Math.abs(length - 1) < 1e-5);
  }
  const piped = await runJson(["embed", "--model", model, "-"], { permissions, stdin: "a cat\n" });
  assertEquals(piped.embeddings, [embeddings[1]]);
  const { stdout } = await runCli(["embed", model, "a cat"], { permissions });
  assertMatch(stdout, /^\[32\] -?\d\.\d{6} /);
});

Deno.test("cli logits --decoder-ids: the encoder reads --ids", async () => {
  const { prompts } = await golden("t5");
  for (const { input_ids: ids, decoder_input_ids: decoderIds, logits_last: expected } of prompts) {
    const args = ["logits", `${MODELS}/t5`, "--kv", "f32", "--ids", ids.join()];
    const { logits } = await runJson([...args, "--decoder-ids", decoderIds.join()], { permissions });
    assertClose(logits, expected);
  }
});

Deno.test("cli run: an encoder–decoder writes from its start token on", async () => {
  const { prompts: [prompt] } = await golden("bart");
  const args = ["run", "--model", `${MODELS}/bart`, "--kv", "f32", "--prompt-ids", prompt.input_ids.join()];
  const { ids } = await runJson([...args, "--max-tokens", "16", "--ignore-eos"], { permissions });
  assertEquals(ids, prompt.greedy.new_tokens);
});

Deno.test("cli: an encoder says that it writes no text", async () => {
  const { code, stderr } = await runCli(["run", "--model", `${MODELS}/bert`, "--prompt-ids", "1"], {
    permissions,
  });
  assertEquals(code, 1);
  assertMatch(stderr, /^llmforge: [^\n]*embed[^\n]*\n$/);
});

Deno.test("cli: a Hub name is looked up in the cache, a path of that name goes before it, and neither is an error", () =>
  withFolder(async (cache) => {
    const snapshot = `${cache}/models--org--tiny/snapshots/main`;
    await Deno.mkdir(snapshot, { recursive: true });
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(new URL(`../fixtures/models/bert/${name}`, import.meta.url), `${snapshot}/${name}`);
    }
    const env = { HF_HUB_CACHE: cache };
    const granted = { permissions: ["-R", "--allow-env=HF_HUB_CACHE"], env };
    const ids = ["--ids", "5,6,7"];
    const expected = await runJson(["embed", `${MODELS}/bert`, ...ids], { permissions });
    assertEquals(await runJson(["embed", "org/tiny", ...ids], granted), expected);
    assertEquals((await runJson(["inspect", "--model", "org/tiny"], granted)).architecture, "bert");
    // tests/fixtures is a folder here.
    const path = await runCli(["inspect", "tests/fixtures"], granted);
    assertEquals(path.code, 1);
    assertEquals(path.stderr.includes("Hub"), false);
    const missing = await runCli(["embed", "org/other", ...ids], granted);
    assertEquals(missing.code, 1);
    assertMatch(
      missing.stderr,
      /^llmforge: there is no file or folder org\/other, .* nothing is downloaded here; run hf download org\/other first\n$/,
    );
    const ungranted = await runCli(["embed", "org/tiny", ...ids], { permissions, env });
    assertMatch(
      ungranted.stderr,
      /^llmforge: there is no file or folder org\/tiny, [^\n]*--allow-env=HF_HUB_CACHE,HF_HOME,HOME,/,
    );
  }));
