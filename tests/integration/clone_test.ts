/** Programs of somebody else that use a clone. @module */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** Runs a program in a folder of its own, with no permissions, beside a `deno.json` if one is given. */
async function runProgram(from: string, config?: unknown): Promise<{ stdout: string; stderr: string }> {
  const folder = await Deno.makeTempDir();
  try {
    const program = `import { load } from "${from}";
await using model = await load();
for await (const { text } of model.generate("Once", { maxTokens: 4 })) console.log(text);`;
    await Deno.writeTextFile(`${folder}/main.ts`, program);
    if (config) await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(config));
    const args = ["run", "--no-prompt", ...(config ? [] : ["--no-config"]), "main.ts"];
    const output = await new Deno.Command(Deno.execPath(), { args, cwd: folder }).output();
    const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
    assertEquals(output.success, stdout !== "", stderr);
    return { stdout, stderr };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a clone that a deno.json links is imported by its name", async () => {
  const { stdout } = await runProgram("@llmforge/llmforge", {
    links: [decodeURIComponent(ROOT.pathname)],
    imports: { "@llmforge/llmforge": "jsr:@llmforge/llmforge@^0.1.0" },
  });
  assert(stdout.split("\n").length > 3, stdout);
});

Deno.test("a clone that is imported by its path alone says how to link it", async () => {
  const { stderr } = await runProgram(new URL("mod.ts", ROOT).href);
  assertStringIncludes(stderr, "the package @huggingface/tokenizers cannot be loaded");
  assertStringIncludes(stderr, "name that folder under `links` in a deno.json of yours");
});
