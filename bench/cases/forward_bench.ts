/** The embedded model as a whole: forward passes, generation, load, and the first token of a fresh process. @module */
import type { BackendName, Model } from "../../mod.ts";
import { load } from "../../mod.ts";
import { integers } from "../../tests/support/random.ts";

const backend = (Deno.env.get("LLMFORGE_BENCH_BACKEND") ?? "wasm") as BackendName;
const CLI = new URL("../../cli.ts", import.meta.url);

let loaded: Promise<Model> | undefined;

/** The model that all cases but the loading ones share. */
function model(): Promise<Model> {
  return loaded ??= load(undefined, { backend });
}

for (const tokens of [1, 8, 64, 256, 512]) {
  Deno.bench({
    name: `prefill of ${tokens} tokens`,
    group: `stories, forward (${backend})`,
    async fn(b) {
      const { config } = await model();
      const ids = [...integers(tokens, config.vocabSize, 1)];
      b.start();
      await (await model()).logits(ids);
      b.end();
    },
  });
}

for (const [name, options] of Object.entries({ greedy: {}, "top-k 40": { temperature: 0.8, topK: 40 } })) {
  Deno.bench({
    name: `generate 64 tokens, ${name}`,
    group: `stories, generate (${backend})`,
    async fn(b) {
      const generator = await model();
      b.start();
      await generator.generate("Once upon a time", { maxTokens: 64, ignoreEos: true, seed: 1, ...options })
        .text();
      b.end();
    },
  });
}

Deno.bench({ name: "load and close", group: `stories, start (${backend})` }, async () => {
  await using _model = await load(undefined, { backend });
});

Deno.bench({
  name: "command line, from its start to the first token",
  group: `stories, start (${backend})`,
  n: 10,
  async fn(b) {
    const args = ["run", "-A", CLI.href, "run", "Once upon a time", "--max-tokens", "1", "--quiet"];
    const command = new Deno.Command(Deno.execPath(), {
      args: [...args, "--backend", backend],
      stdout: "piped",
      stderr: "null",
    });
    b.start();
    const child = command.spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    b.end();
    await reader.cancel();
    const { success } = await child.status;
    if (!success) throw new Error("the command line failed");
  },
});
