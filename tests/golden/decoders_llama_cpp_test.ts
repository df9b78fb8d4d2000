/**
 * The decoder goldens as GGUF files in llama.cpp itself: a round trip through our own reader would hide a mapping error.
 * Needs node-llama-cpp, in the folder that `NODE_LLAMA_CPP` names.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { convertFile } from "../../src/convert/convert.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { DECODER_NAMES, MODELS, readGolden, withFolder } from "../support/goldens.ts";
import { smallTokenizer } from "../support/small_tokenizer.ts";

const SCRIPT = new URL("../support/llama_cpp_greedy.mjs", import.meta.url);
/** GGUF files of mistral are llama files, and llama.cpp gives those no window: sequences stay within its 16 tokens. */
const LONGEST: Readonly<Record<string, number>> = { mistral: 16 };

interface Case {
  path: string;
  prompt: number[];
  count: number;
  expected: number[];
}

async function casesOf(name: string, folder: string): Promise<Case[]> {
  const file = await openModelFile(new URL(`${name}/`, MODELS));
  const path = `${folder}/${name}.gguf`;
  try {
    // llama.cpp loads no model without a vocabulary.
    const tokenizerJson = () => Promise.resolve(smallTokenizer(Number(file.config?.vocab_size)));
    const tokenizerConfig = () => Promise.resolve({ eos_token: "<|endoftext|>" });
    // It rounds activations to the weights' dtype; the goldens were multiplied in F32.
    await convertFile({ ...file, tokenizerJson, tokenizerConfig }, path, { quantize: "f32" });
  } finally {
    file.close();
  }
  const { prompts } = await readGolden(name);
  return prompts.flatMap(({ input_ids: prompt, greedy: { new_tokens: ids } }) => {
    // The last token that is chosen is not seen any more.
    const count = Math.min(ids.length, (LONGEST[name] ?? Infinity) - prompt.length + 1);
    return count > 0 ? [{ path, prompt, count, expected: ids.slice(0, count) }] : [];
  });
}

/** Tokens of llama.cpp for each case. */
async function run(home: string, cases: readonly Case[]): Promise<unknown[]> {
  const child = new Deno.Command("node", { args: [SCRIPT.pathname], stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({ home, cases })));
  await writer.close();
  const { stdout } = await child.output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line.startsWith("{")).map((line) =>
    JSON.parse(line)
  );
}

const home = Deno.env.get("NODE_LLAMA_CPP");
Deno.test({
  name: `goldens of every decoder, converted to GGUF, in llama.cpp${
    home ? "" : ": skipped, NODE_LLAMA_CPP is not set"
  }`,
  ignore: home === undefined,
  fn: (t) =>
    withFolder(async (folder) => {
      assert(home);
      const cases = (await Promise.all(DECODER_NAMES.map((name) => casesOf(name, folder)))).flat();
      const results = await run(home, cases);
      assertEquals(results.length, cases.length);
      for (const [i, { path, prompt, expected }] of cases.entries()) {
        await t.step(`${path.slice(folder.length + 1)} after ${prompt.length} tokens`, () => {
          assertEquals(results[i], { ids: expected });
        });
      }
    }),
});
