import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runCli } from "../support/run_cli.ts";

const STORY = ["Once upon a time", "--max-tokens", "4", "--temperature", "0"];

Deno.test("cli run --profile: a table on standard error, the same text, without a permission", async () => {
  const [plain, profiled] = await Promise.all([runCli(STORY), runCli([...STORY, "--profile"])]);
  assertEquals([profiled.code, profiled.stdout], [0, plain.stdout]);
  for (const part of ["GB/s", "prefill by op", "decode by op", "pagedAttention", "layer 5"]) {
    assertStringIncludes(profiled.stderr, part);
  }
});

Deno.test("cli run --trace: every op of every step, in a file that viewers open", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/trace.json`;
  const { code } = await runCli([...STORY, "--trace", file], { permissions: [`--allow-write=${folder}`] });
  assertEquals(code, 0);
  const { traceEvents } = JSON.parse(await Deno.readTextFile(file));
  assert(traceEvents.length > 100);
  assert(traceEvents.every((event: { ph: string; dur: number }) => event.ph === "X" && event.dur >= 0));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("cli run --trace: without the permission to write it says which flag grants it", async () => {
  const { code, stderr } = await runCli([...STORY, "--trace", "trace.json"]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "run with -W");
});
