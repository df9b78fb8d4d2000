import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { embeddedModel } from "../../src/models/embedded/mod.ts";
import { FIXTURES, runCli } from "../support/run_cli.ts";

const LATER = ["serve", "pull", "finetune"];

/** Arguments that are wrong, and what the message must say. */
const WRONG: readonly [args: string[], says: string][] = [
  [[], "no prompt"],
  [["--json"], "no prompt"],
  [["one", "two"], "quotes"],
  [["--no-such-flag", "x"], "unknown option '--no-such-flag'"],
  [["x", "--sed", "1"], "did you mean --seed"],
  [["--json", "doctor"], "before all options"],
  [["x", "--seed"], "argument missing"],
  [["x", "--seed", "1.5"], "whole number of at least 0"],
  [["x", "--seed", "-1"], "whole number of at least 0"],
  [["x", "--max-tokens", "many"], "whole number"],
  [["x", "--context", "0"], "at least 1"],
  [["x", "--threads", "0"], "1 to 1024"],
  [["x", "--temperature", "-0.5"], "at least 0"],
  [["x", "--temperature", ""], "at least 0"],
  [["x", "--top-p", "1.5"], "0 to 1"],
  [["x", "--min-p", "NaN"], "0 to 1"],
  [["x", "--top-k", "1e3"], "whole number"],
  [["x", "--repetition-penalty", "0"], "above 0"],
  [["x", "--stop", ""], "not be empty"],
  [["x", "--presence-penalty", "-101"], "-100 to 100"],
  [["x", "--mirostat", "3"], "0 to 2"],
  [["x", "--logit-bias", "the"], "15+1"],
  [["x", "--dry-multiplier", "1", "--dry-sequence-breaker", ""], "not be empty"],
  [["x", "--backend", "cuda"], "auto, wasm"],
  [["x", "--kv", "q4"], "auto, f32, f16, q16, q8"],
  [["--prompt-ids", "1,,2"], "1,2,3"],
  [["x", "--prompt-ids", "1"], "not both"],
  [["--prompt-ids", "1", "--system", "x"], "--system"],
  [["x", "--raw", "--system", "y"], "--raw"],
  [["chat", "a", "--model", "b"], "twice"],
  [["chat", "--max-tokens", "many"], "whole number"],
  [["x", "--beams", "0"], "1 to 128"],
  [["x", "--beams", "2", "--stop", "y"], "--stop"],
  [["x", "--beams", "2", "--temperature", "1"], "draws no tokens"],
  [["x", "--beams", "2", "--top-k", "1"], "draws no tokens"],
  [["x", "--beams", "2", "--max-tokens", "0"], "at least 1"],
  [["x", "--length-penalty", "1"], "--beams too"],
  [["x", "--early-stopping"], "--beams too"],
  [["logits"], "--ids"],
  [["logits", "a", "--model", "b", "--ids", "1"], "twice"],
  [["eval"], "--text"],
  [["embed"], "no text"],
  [["embed", "model"], "no text"],
  [["embed", "model", "text", "--ids", "1"], "not both"],
  [["embed", "model", "text", "--pooling", "max"], "mean, cls, last"],
  [["tokenize"], "no text"],
  [["bench", "--repeat", "0"], "at least 1"],
  [["batch", "in.jsonl"], "out.jsonl"],
  [["doctor", "now"], "too many arguments"],
  [["inspect", "--threads", "2"], "unknown option '--threads'"],
];

Deno.test("cli: wrong usage is one line and exit code 2", async (t) => {
  for (const [args, says] of WRONG) {
    await t.step(args.join(" ") || "(nothing)", async () => {
      const { code, stdout, stderr } = await runCli(args);
      assertEquals([code, stdout], [2, ""]);
      assertMatch(stderr, /^llmforge: [^\n]+\n$/);
      assertStringIncludes(stderr, says);
    });
  }
});

Deno.test("cli: commands that do not exist are unknown, not prompts", async () => {
  for (const name of LATER) {
    for (const args of [[name], [name, "something"], ["--quiet", name]]) {
      const { code, stderr } = await runCli(args);
      assertEquals(code, 2);
      assertStringIncludes(stderr, `unknown command ${name}`);
    }
  }
});

Deno.test("cli: help and version need no permission and name only what exists", async () => {
  const help = await runCli(["--help"]);
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const name of ["run", "chat", "inspect", "tokenize", "logits", "eval", "bench", "batch", "doctor"]) {
    assertMatch(help.stdout, new RegExp(`^  ${name} `, "m"));
  }
  for (const name of LATER) assert(!new RegExp(`^  ${name}\\b`, "m").test(help.stdout), name);
  const run = await runCli(["run", "--help"]);
  assertStringIncludes(run.stdout, "--temperature");
  assertStringIncludes(run.stdout, "q16");
  assertStringIncludes(run.stdout, "q8");
  assertMatch((await runCli(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});

/** Runs that fail: arguments, permissions, and what the message must say. */
const FAILED: readonly [args: string[], permissions: string[], says: string][] = [
  [["x", "--model", "no-such.gguf"], [], "-R"],
  [["x", "--model", "no-such.gguf"], ["-R"], "no-such.gguf"],
  [["inspect", "no-such.gguf"], [], "-R"],
  [["eval", "--text", "no-such.txt"], [], "-R"],
  [["eval", "--text", "no-such.txt"], ["-R"], "no-such.txt"],
  [["x", "--model", "deno.json"], ["-R"], "neither GGUF nor safetensors"],
  [["x", "--model", `${FIXTURES}/models/llama`], ["-R"], "no tokenizer"],
  [["x", "--system", "y"], [], "no chat template"],
  [["chat"], [], "--chat-template"],
  [["chat", "--chat-template", "no-such.jinja"], [], "-R"],
  [["--prompt-ids", "1,2,99999"], [], "99999"],
  [["logits", "--ids", "99999"], [], "99999"],
  [["x", "--context", "100000"], [], "--context"],
  [["Once upon a time there was", "--context", "2"], [], "the context holds 2"],
  [["bench", "--prompt-tokens", "100000", "--quiet"], [], "100000"],
  [["x", "--logit-bias", "99999+1"], [], "99999"],
  [["x", "--dry-multiplier", "1", "--dry-sequence-breaker", "no such token"], [], "no such token"],
];

Deno.test("cli: a failed run is one line and exit code 1", async (t) => {
  for (const [args, permissions, says] of FAILED) {
    await t.step([...args, ...permissions].join(" "), async () => {
      const { code, stdout, stderr } = await runCli(args, { permissions });
      assertEquals([code, stdout], [1, ""]);
      assertMatch(stderr, /^llmforge: [^\n]+\n$/);
      assertStringIncludes(stderr, says);
      assert(!stderr.includes("contextLength"), "options are called by their flags");
    });
  }
});

Deno.test("cli: a truncated model names file and place", async () => {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    const bytes = embeddedModel();
    for (const length of [0, 3, 20, 200, 50_000, bytes.length - 1]) {
      await Deno.writeFile(path, bytes.subarray(0, length));
      for (const args of [["x", "--model", path], ["inspect", path]]) {
        const { code, stderr } = await runCli(args, { permissions: ["-R"] });
        assertEquals(code, 1);
        assertMatch(stderr, /^llmforge: [^\n]+\n$/);
        assertStringIncludes(stderr, path);
      }
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("cli: the stack of an error is printed with --verbose only", async () => {
  const args = ["x", "--model", "no-such.gguf"];
  assert(!(await runCli(args)).stderr.includes("    at "));
  assertStringIncludes((await runCli([...args, "--verbose"])).stderr, "    at ");
});

Deno.test("cli: a context that fills keeps what was printed and fails by name", async () => {
  const { code, stdout, stderr } = await runCli(
    ["Once", "--context", "8", "--max-tokens", "50", "--temperature", "0", "--ignore-eos"],
  );
  assertEquals(code, 1);
  assert(stdout.length > 0);
  assertStringIncludes(stderr, "the context holds 8");
});

Deno.test("cli: a package that cannot be fetched is named, with what to do", async () => {
  // A cache that has no packages, and a port where no registry listens.
  const cache = await Deno.makeTempDir();
  try {
    const env = { DENO_DIR: cache, NPM_CONFIG_REGISTRY: "http://127.0.0.1:9/" };
    for (
      const [args, name] of [
        [["--help"], "commander"],
        [["x"], "@huggingface/tokenizers"],
      ] as const
    ) {
      const { code, stderr } = await runCli(args, { env });
      assertEquals(code, 1);
      const last = stderr.trimEnd().split("\n").at(-1) ?? "";
      assertStringIncludes(last, `llmforge: the package ${name} cannot be loaded: `);
      assertStringIncludes(last, "run it once where their registry answers");
    }
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});
