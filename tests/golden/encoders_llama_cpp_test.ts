/**
 * The encoder goldens as GGUF files in llama.cpp itself: vectors, scores and token ids. Needs node-llama-cpp, in the folder
 * that `NODE_LLAMA_CPP` names; it runs encoders only, so of T5 the encoder by itself.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { convertFile } from "../../src/convert/convert.ts";
import type { ModelFile } from "../../src/formats/model_file.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { load } from "../../src/load.ts";
import type { Model } from "../../src/model.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { ENCODER_TOKENIZERS } from "../support/encoder_tokenizers.ts";
import { MODELS, withFolder } from "../support/goldens.ts";

const SCRIPT = new URL("../support/llama_cpp_embed.mjs", import.meta.url);
const TEXTS = ["the red House", "cats  don't the,the", "é の", " the ", "know the house"];
/** llama.cpp looks GELU up in a table of F16; wrong names or orders of weights change elements by 0.1 and more. */
const GELU_TOLERANCE = 5e-3;
const EXACT_TOLERANCE = 1e-5;

interface Case {
  golden: string;
  /** The tokenizer, where the golden has none. */
  tokenizer?: string;
  /** How the file says to pool; a file that does not ranks. */
  pooling?: string;
  tolerance: number;
}

const CASES: readonly Case[] = [
  { golden: "bert", tokenizer: "WordPiece of lower case", pooling: "cls", tolerance: GELU_TOLERANCE },
  { golden: "bert", tokenizer: "WordPiece of lower case", pooling: "mean", tolerance: GELU_TOLERANCE },
  { golden: "roberta", tokenizer: "byte-level BPE of RoBERTa", pooling: "mean", tolerance: GELU_TOLERANCE },
  { golden: "roberta", tokenizer: "Unigram of XLM-RoBERTa", pooling: "cls", tolerance: GELU_TOLERANCE },
  { golden: "roberta-rerank", tolerance: GELU_TOLERANCE },
  { golden: "t5", tokenizer: "Unigram of T5", pooling: "mean", tolerance: EXACT_TOLERANCE },
  { golden: "t5-v1_1", tokenizer: "Unigram of T5", pooling: "mean", tolerance: GELU_TOLERANCE },
];

/** The golden as llama.cpp computes it: it has the tanh form of GELU only, and 128 as T5's farthest distance. */
async function sourceOf({ golden, tokenizer, pooling }: Case): Promise<ModelFile> {
  const file = await openModelFile(new URL(`${golden}/`, MODELS));
  const config = golden.startsWith("t5")
    ? { ...file.config, architectures: ["T5EncoderModel"], relative_attention_max_distance: 128 }
    : { ...file.config, hidden_act: "gelu_new" };
  const definition = tokenizer && await ENCODER_TOKENIZERS[tokenizer].json();
  // The made-up table of characters says nothing to llama.cpp.
  const plain = definition &&
    { ...definition, normalizer: tokenizer.startsWith("Unigram") ? null : definition.normalizer };
  return {
    ...file,
    config,
    ...(plain ? { tokenizerJson: () => Promise.resolve(plain) } : {}),
    ...(pooling ? { poolingConfig: { pooling_mode: pooling } } : {}),
  };
}

/** The ids of each text, or of each text beside another one for a model that ranks. */
function inputsOf({ pooling }: Case, tokenizer: Tokenizer): number[][] {
  return TEXTS.slice(0, 3).map((text) =>
    pooling ? tokenizer.encode(text) : [...tokenizer.encodePair?.("the cat", text)?.ids ?? []]
  );
}

async function vectorsOf(model: Model, { pooling }: Case, inputs: number[][]): Promise<number[][]> {
  if (pooling) return (await model.embed(inputs, { normalize: false })).map((vector) => Array.from(vector));
  const ranked = await model.rerank("the cat", TEXTS.slice(0, 3));
  const scores = ranked.toSorted((a, b) => a.index - b.index);
  // node-llama-cpp gives probabilities.
  return scores.map(({ score }) => [1 / (1 + Math.exp(-score))]);
}

async function inLlamaCpp(
  home: string,
  cases: readonly unknown[],
): Promise<{ vectors: number[][]; ids: number[][] }[]> {
  const child = new Deno.Command("node", { args: [SCRIPT.pathname], stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({ home, cases })));
  await writer.close();
  const { stdout } = await child.output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}

const home = Deno.env.get("NODE_LLAMA_CPP");
Deno.test({
  name: `goldens of encoders, converted to GGUF, in llama.cpp${
    home ? "" : ": skipped, NODE_LLAMA_CPP is not set"
  }`,
  ignore: home === undefined,
  fn: (t) =>
    withFolder(async (folder) => {
      assert(home);
      const prepared = await Promise.all(CASES.map(async (one, i) => {
        const [source, path] = [`${folder}/${i}`, `${folder}/${i}.gguf`];
        const file = await sourceOf(one);
        await convertFile(file, source);
        await convertFile(file, path);
        file.close();
        await using model = await load(source, { backend: "wasm", kv: "f32" });
        const inputs = inputsOf(one, model.tokenizer);
        const ids = TEXTS.map((text) => model.tokenizer.encode(text, { addSpecial: false }));
        return {
          path,
          ranking: !one.pooling,
          inputs,
          texts: TEXTS,
          ids,
          vectors: await vectorsOf(model, one, inputs),
        };
      }));
      const results = await inLlamaCpp(home, prepared);
      assertEquals(results.length, CASES.length);
      for (const [i, { golden, pooling = "rank", tolerance }] of CASES.entries()) {
        await t.step(`${golden}, ${pooling}`, () => {
          assertEquals(results[i].ids, prepared[i].ids);
          prepared[i].vectors.forEach((vector, text) => {
            const found = results[i].vectors[text];
            assertEquals(found.length, vector.length);
            const difference = vector.reduce((max, x, at) => Math.max(max, Math.abs(x - found[at])), 0);
            assert(difference <= tolerance, `elements of ${TEXTS[text]} differ by ${difference}`);
          });
        });
      }
    }),
});
