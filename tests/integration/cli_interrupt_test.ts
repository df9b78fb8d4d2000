import { assert, assertEquals, assertMatch } from "@std/assert";
import { startCli } from "../support/run_cli.ts";

/** The slow backend, so that there is time to interrupt it. */
const LONG = ["Once", "--backend", "reference", "--ignore-eos", "--max-tokens", "500", "--temperature", "0"];
const windows = Deno.build.os === "windows";

/** Reads a first piece of a stream, and gives a way to read the rest. */
async function begin(stream: ReadableStream<Uint8Array>) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  const first = (await reader.read()).value ?? "";
  return {
    first,
    async rest(): Promise<string> {
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
      return text;
    },
    cancel: () => reader.cancel(),
  };
}

Deno.test({
  name: "cli: Ctrl-C keeps what was printed, ends the line and exits 130",
  ignore: windows,
  async fn() {
    const child = startCli(LONG);
    const out = await begin(child.stdout);
    assert(out.first.length > 0);
    child.kill("SIGINT");
    const [text, errors] = await Promise.all([out.rest(), new Response(child.stderr).text()]);
    assertEquals((await child.status).code, 130);
    assertMatch(out.first + text, /[^\n]\n$/);
    assertMatch(errors, /^stories on reference[^\n]+\n$/);
  },
});

Deno.test({
  name: "cli: Ctrl-C with --json still prints the object",
  ignore: windows,
  async fn() {
    const child = startCli([...LONG, "--json", "--verbose"]);
    // Nothing is printed before the end, so there is nothing to wait for but time.
    const timer = setInterval(() => child.kill("SIGINT"), 1500);
    const output = await child.output();
    clearInterval(timer);
    assertEquals(output.code, 130);
    const result = JSON.parse(new TextDecoder().decode(output.stdout));
    assertEquals(result.finish_reason, "abort");
    assert(result.ids.length < 500);
  },
});

Deno.test({
  name: "cli: Ctrl-C ends waiting for standard input, and a measurement",
  ignore: windows,
  async fn() {
    for (const args of [["-"], ["bench", "--backend", "reference", "--repeat", "100"]]) {
      const child = startCli(args, { stdin: "" });
      const timer = setTimeout(() => child.kill("SIGINT"), 1000);
      const output = await child.output();
      clearTimeout(timer);
      await child.stdin.close().catch(() => undefined);
      assertEquals(output.code, 130);
    }
  },
});

Deno.test("cli: a reader that goes away (| head) ends the run quietly", async () => {
  const child = startCli([...LONG, "--quiet"]);
  const out = await begin(child.stdout);
  await out.cancel();
  assertEquals(await new Response(child.stderr).text(), "");
  assertEquals((await child.status).code, 0);
});
