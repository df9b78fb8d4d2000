import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli, startCli } from "../support/run_cli.ts";

const PERMISSIONS = ["-R", "-W"];

/** Runs something in a folder of its own, with a file of lines in it. */
async function withLines(
  lines: readonly unknown[],
  run: (input: string, output: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const input = `${folder}/in.jsonl`;
    const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)) + "\n").join(
      "",
    );
    await Deno.writeTextFile(input, text);
    await run(input, `${folder}/out.jsonl`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function results(path: string) {
  const text = await Deno.readTextFile(path);
  assert(text.endsWith("\n"));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("cli batch: results stand in the order of the lines, each as run gives it", async () => {
  const lines = [
    { id: "long", prompt: "Once upon a time", max_tokens: 40, temperature: 0 },
    { prompt_ids: [0, 596], max_tokens: 3, temperature: 0 },
    "",
    { id: 7, prompt: "The dog", max_tokens: 9, temperature: 0.9, seed: 5 },
  ];
  await withLines(lines, async (input, output) => {
    const { code, stderr, stdout } = await runCli(["batch", input, output], { permissions: PERMISSIONS });
    assertEquals([code, stdout], [0, ""]);
    assertMatch(stderr, /out\.jsonl: 3 lines, 0 failed\n$/);
    const all = await results(output);
    assertEquals(all.map(({ index, id }) => [index, id]), [[0, "long"], [1, undefined], [2, 7]]);
    assertEquals(all.map(({ ids }) => ids.length), [40, 3, 9]);
    assertEquals(all.map(({ finish_reason: reason }) => reason), ["length", "length", "length"]);
    const run = ["The dog", "--max-tokens", "9", "--temperature", "0.9", "--seed", "5", "--quiet"];
    assertEquals((await runCli(run)).stdout.trimEnd(), all[2].text.trimEnd());
  });
});

Deno.test("cli batch: a line that is wrong has an error for a result, and the others are done", async () => {
  const lines = [
    "{not json",
    { id: "none" },
    { prompt: "a", max_tokens: -1 },
    { prompt: "a", tempreature: 1 },
    { prompt: "a", temperature: "hot" },
    { prompt_ids: [99999] },
    { id: "both", prompt: "a", prompt_ids: [1] },
    { messages: [{ role: "user" }] },
    { prompt: "Once", max_tokens: 2 },
  ];
  const says = [
    "JSON",
    "one of",
    "maxTokens",
    "tempreature",
    "a number",
    "99999",
    "one of",
    "role",
    undefined,
  ];
  await withLines(lines, async (input, output) => {
    const { code, stdout } = await runCli(["batch", input, output, "--json"], { permissions: PERMISSIONS });
    assertEquals(code, 0);
    assertEquals(JSON.parse(stdout), { lines: 9, resumed: 0, failed: 8, output });
    const all = await results(output);
    for (const [i, expected] of says.entries()) {
      if (expected === undefined) assertEquals(all[i].ids.length, 2);
      else assertStringIncludes(`${all[i].error.code} ${all[i].error.message}`, expected);
    }
  });
});

Deno.test("cli batch: a job with a wrong line goes on, and every flag counts", async () => {
  const lines = [{ id: "x", prompt: "a", tempreature: 1 }, { id: "y", prompt: "Once upon", max_tokens: 1 }];
  await withLines(lines, async (input, output) => {
    const run = ["batch", input, output, "--json", "--logit-bias", "5+inf", "--temperature", "0"];
    assertEquals((await runCli(run, { permissions: PERMISSIONS })).code, 0);
    const all = await results(output);
    assertEquals(all.map(({ id }) => id), ["x", "y"]);
    assertEquals(all[1].ids, [5]);
    const again = await runCli(run, { permissions: PERMISSIONS });
    assertEquals(JSON.parse(again.stdout), { lines: 2, resumed: 2, failed: 1, output });
  });
});

Deno.test("cli batch: a file that breaks off leaves no errors in the place of results", async () => {
  // All wait for the first line, which is still at work when the last one is read.
  const lines = Array.from({ length: 100 }, (_, i) => ({ prompt: "Once", max_tokens: i === 0 ? 200 : 1 }));
  await withLines(lines, async (input, output) => {
    await Deno.writeFile(input, Uint8Array.of(0xff, 10), { append: true });
    const run = ["batch", input, output, "--ignore-eos", "--backend", "reference"];
    const { code, stderr } = await runCli(run, { permissions: PERMISSIONS });
    assertEquals([code, await sizeOf(output)], [1, 0]);
    assertStringIncludes(stderr, "UTF-8");
  });
});

Deno.test("cli batch: files that are not there, or of another job, are refused", async () => {
  await withLines([{ id: 1, prompt: "a", max_tokens: 1 }], async (input, output) => {
    const missing = await runCli(["batch", `${input}.no`, output], { permissions: PERMISSIONS });
    assertEquals(missing.code, 1);
    assertMatch(missing.stderr, /^llmforge: [^\n]*in\.jsonl\.no[^\n]*\n$/);
    await Deno.writeTextFile(output, '{"index":0,"id":2,"text":"","ids":[],"finish_reason":"stop"}\n');
    const other = await runCli(["batch", input, output], { permissions: PERMISSIONS });
    assertEquals(other.code, 2);
    assertStringIncludes(other.stderr, "another input");
    await Deno.writeTextFile(output, "a poem\n");
    const poem = await runCli(["batch", input, output], { permissions: PERMISSIONS });
    assertEquals(poem.code, 1);
    assertStringIncludes(poem.stderr, "line 1");
    assertEquals(await Deno.readTextFile(output), "a poem\n");
  });
});

Deno.test({
  name: "cli batch: Ctrl-C keeps whole results and exits 130",
  ignore: Deno.build.os === "windows",
  async fn() {
    const line = { prompt: "Once upon a time", max_tokens: 200, temperature: 0, ignore_eos: true };
    // The first line takes longest: others wait for it when the signal comes.
    const lines = Array.from({ length: 2000 }, (_, i) => i === 0 ? line : { ...line, max_tokens: 1 });
    await withLines(lines, async (input, output) => {
      const child = startCli(["batch", input, output, "--backend", "reference"], {
        permissions: PERMISSIONS,
      });
      const timer = setInterval(() => child.kill("SIGINT"), 1500);
      const { code } = await child.output();
      clearInterval(timer);
      assertEquals([code, await sizeOf(output)], [130, 0]);
    });
  },
});

Deno.test({
  name: "cli batch: killed ten times and started again, the results are those of a job that never was",
  ignore: Deno.build.os === "windows",
  async fn() {
    const prompts = ["Once upon a time", "The little dog", "Tim and Sue", "One day", "A big red ball"];
    const lines = Array.from({ length: 200 }, (_, i) => ({
      id: `line ${i}`,
      prompt: `${prompts[i % prompts.length]} ${i}`,
      max_tokens: 20 + i % 60,
      temperature: i % 2,
      ignore_eos: true,
    }));
    await withLines(lines, async (input, output) => {
      const whole = `${output}.whole`;
      const args = ["batch", input, whole, "--backend", "wasm", "--quiet"];
      assertEquals((await runCli(args, { permissions: PERMISSIONS })).code, 0);
      let kills = 0;
      const sizes = new Set<number>();
      for (; kills < 10; kills++) {
        const child = startCli(["batch", input, output, "--backend", "wasm", "--quiet"], {
          permissions: PERMISSIONS,
        });
        const before = await sizeOf(output);
        // At any time after it has written something more.
        while (await sizeOf(output) === before && before < (await Deno.stat(whole)).size) await pause(2);
        await pause(Math.random() * 15);
        child.kill("SIGKILL");
        await child.output();
        sizes.add(await sizeOf(output));
      }
      assert(sizes.size > 5, `it was killed at ${sizes.size} different places`);
      assertEquals((await runCli(["batch", input, output, "--quiet"], { permissions: PERMISSIONS })).code, 0);
      assertEquals(await Deno.readTextFile(output), await Deno.readTextFile(whole));
    });
  },
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch {
    return 0;
  }
}

Deno.test("cli batch: a line says what happens when its context is full", async () => {
  const long = { prompt: "Once", max_tokens: 150, ignore_eos: true };
  const lines = [{ ...long, context_full: "slide", keep: 0 }, long, { ...long, context_full: "wrap" }];
  await withLines(lines, async (input, output) => {
    const args = ["batch", input, output, "--context", "96"];
    await runCli(args, { permissions: PERMISSIONS });
    const [slides, fails, wrong] = await results(output);
    assertEquals(slides.ids.length, 150);
    assertEquals([fails, wrong].map(({ error }) => error.code), [
      "SEQUENCE_LENGTH_EXCEEDED",
      "INVALID_ARGUMENT",
    ]);
  });
});
