import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli, startCli } from "../support/run_cli.ts";

const TEMPLATE = "{% for m in messages %}{{ m.content }} {% endfor %}";
const windows = Deno.build.os === "windows";

/** Runs with a folder of its own, in which the template is. */
async function withFolder(run: (folder: string, args: readonly string[]) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const template = `${folder}/template.jinja`;
    await Deno.writeTextFile(template, TEMPLATE);
    await run(folder, ["chat", "--chat-template", template, "--max-tokens", "12", "--temperature", "0"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

// deno-lint-ignore no-explicit-any -- tests say what they expect of it
function objects(stdout: string): any[] {
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("cli: chat answers each line of a pipe, and goes on from what was said", async () => {
  await withFolder(async (_, args) => {
    const stdin = 'Once upon a time\n"""\nThen\n\nhe\n"""\nWhy\\\nnot';
    const { code, stdout, stderr } = await runCli([...args, "--json"], { permissions: ["-R"], stdin });
    assertEquals([code, stderr], [0, ""]);
    const turns = objects(stdout);
    assertEquals(turns.length, 3);
    const known = [...turns[0].prompt_ids, ...turns[0].ids];
    assertEquals(turns[1].prompt_ids.slice(0, known.length), known);
    assert(turns[2].timings.reused_tokens > 0);
    const plain = await runCli(args, { permissions: ["-R"], stdin });
    assertEquals(plain.stdout, turns.map(({ text }) => `${text}\n`).join(""));
  });
});

Deno.test("cli: chat saves, loads, takes back and tries again", async () => {
  await withFolder(async (folder, args) => {
    const run = async (stdin: string) => {
      const result = await runCli([...args, "--json"], { permissions: ["-R", "-W"], stdin });
      assertEquals(result.code, 0, result.stderr);
      return objects(result.stdout);
    };
    const [first, again, second] = await run(
      `Once upon a time\n/retry\n/save ${folder}/chat\nThen he\n/exit\nno`,
    );
    assertEquals(again.text, first.text);
    assertEquals(await run(`/load ${folder}/chat\nThen he\n`), [second]);
    const [, after] = await run("/system Hello\nOne\n/reset\nTwo\n//three\n/undo\n");
    assert(after.prompt_ids.length > 0);
    assertEquals(
      await run("/system Hello\nTwo\n//three\n").then(([turn]) => turn.prompt_ids),
      after.prompt_ids,
    );
  });
});

Deno.test("cli: chat says what is wrong with a command", async () => {
  const wrong: [string, string][] = [
    ["/fly", "/help"],
    ["/constructor", "/help"],
    ["/save", "write /save FILE"],
    ["/undo now", "write /undo alone"],
    ["/undo", "nothing was said"],
    ["/load no-such-file", "no-such-file"],
    ["/load deno.json", "no session"],
    ["/save /no/where", "-W"],
  ];
  await withFolder(async (_, args) => {
    for (const [line, says] of wrong) {
      const { code, stdout, stderr } = await runCli(args, { permissions: ["-R"], stdin: `${line}\n` });
      assertEquals([code, stdout], [1, ""], line);
      assertMatch(stderr, /^llmforge: [^\n]+\n$/);
      assertStringIncludes(stderr, says);
    }
    const help = await runCli(args, { permissions: ["-R"], stdin: "/help\n" });
    for (const name of ["help", "reset", "system", "undo", "retry", "save", "load", "exit"]) {
      assertMatch(help.stderr, new RegExp(`^/${name}\\b`, "m"));
    }
  });
});

Deno.test({
  name: "cli: Ctrl-C stops an answer and not the chat, and ends it at the prompt",
  ignore: windows,
  async fn() {
    await withFolder(async (_, args) => {
      const long = ["--backend", "reference", "--ignore-eos", "--max-tokens", "400"];
      const child = startCli([...args, ...long], { permissions: ["-R"], stdin: "" });
      const writer = child.stdin.getWriter();
      const say = (text: string) => writer.write(new TextEncoder().encode(text));
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const until = async (pattern: RegExp) => {
        for (let text = ""; !pattern.test(text);) {
          const { done, value } = await reader.read();
          assert(!done, text);
          text += value;
        }
      };
      for (let turn = 0; turn < 2; turn++) {
        await say("Once upon a time\n");
        await until(/[a-z]/);
        child.kill("SIGINT");
        await until(/\n/);
      }
      child.kill("SIGINT");
      assertEquals((await child.status).code, 130);
      assertEquals(await new Response(child.stderr).text(), "");
      await writer.close().catch(() => undefined);
      await reader.cancel();
    });
  },
});
