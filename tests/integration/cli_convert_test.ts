/** The `convert` command, and `inspect --verify` on what it writes. @module */
import { assertEquals, assertMatch } from "@std/assert";
import { FIXTURES, runCli, runJson } from "../support/run_cli.ts";
import { withFolder } from "../support/goldens.ts";

const LLAMA = `${FIXTURES}/models/llama`;

Deno.test("cli convert: a folder to GGUF, quantized, and to forge, which can be verified", () =>
  withFolder(async (folder) => {
    const permissions = ["-R", `-W=${folder}`];
    const [gguf, forge] = [`${folder}/m.gguf`, `${folder}/m.forge`];
    const report = await runJson(["convert", LLAMA, gguf, "--quant", "q8_0"], { permissions });
    assertEquals([report.format, report.tensors, report.dropped], ["gguf", 21, []]);
    assertEquals(report.fallbacks.map(({ dtype }: { dtype: string }) => dtype), ["f16", "f16"]);
    const { code, stdout, stderr } = await runCli(["convert", gguf, forge, "--quant", "f16"], {
      permissions,
    });
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /m\.forge: forge, 21 tensors, .*, in [\d.]+ s\n$/);
    const found = await runJson(["inspect", forge, "--verify"], { permissions });
    assertEquals([found.format, found.architecture], ["forge", "llama"]);
    const bytes = await Deno.readFile(forge);
    bytes[bytes.length - 1000] ^= 1;
    await Deno.writeFile(forge, bytes);
    const damaged = await runCli(["inspect", forge, "--verify"], { permissions });
    assertEquals(damaged.code, 1);
    assertMatch(damaged.stderr, /^llmforge: .*the checksum of .* is wrong/);
  }));

Deno.test("cli convert: rows that do not fit are told on standard error", () =>
  withFolder(async (folder) => {
    const { code, stderr } = await runCli(["convert", LLAMA, `${folder}/m.gguf`, "--quant", "q4_0"], {
      permissions: ["-R", "-W"],
    });
    assertEquals(code, 0);
    assertMatch(stderr, /^rows that are no whole blocks of q4_0: blk\.0\.ffn_down\.weight \(f16\), /);
  }));

Deno.test("cli convert: without the permission to write, the error names the flag", () =>
  withFolder(async (folder) => {
    const { code, stderr } = await runCli(["convert", LLAMA, `${folder}/m.gguf`], { permissions: ["-R"] });
    assertEquals(code, 1);
    assertMatch(stderr, /^llmforge: .*needs a permission; run with -W\n$/);
  }));

Deno.test("cli convert: a format or dtype that is not known is wrong usage", async () => {
  for (const flags of [["--to", "onnx"], ["--quant", "q9"]]) {
    assertEquals((await runCli(["convert", LLAMA, "x", ...flags])).code, 2);
  }
});
