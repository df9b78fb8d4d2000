/**
 * Llama 2 7B and GPT-2 with their tensors' real names and shapes, in files without content: every weight is found,
 * nothing is left over, and the GGUF file that would be written has llama.cpp's names and shapes.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { planConversion } from "../../src/convert/plan.ts";
import { openModelFile } from "../../src/formats/open.ts";
import { describeModel } from "../../src/models/describe.ts";
import { locateWeights } from "../../src/weights.ts";
import { withFolder } from "../support/goldens.ts";
import {
  GPT2_CONFIG,
  gpt2Tensors,
  LLAMA2_CONFIG,
  llama2Tensors,
  writeSparse,
} from "../support/sparse_model.ts";

const shapesOf = (tensors: readonly { name: string; shape: readonly number[] }[]) =>
  Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));

Deno.test("Llama 2 7B in two shards of F16, as Meta publishes it", () =>
  withFolder(async (folder) => {
    const all = llama2Tensors();
    const files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    // The published cut is behind layer 23.
    const cut = all.findIndex(([name]) => name.startsWith("model.layers.24."));
    const parts = [all.slice(0, cut), all.slice(cut)];
    for (const [i, part] of parts.entries()) await writeSparse(`${folder}/${files[i]}`, "f16", part);
    const weight_map = Object.fromEntries(parts.flatMap((part, i) => part.map(([name]) => [name, files[i]])));
    await Deno.writeTextFile(`${folder}/model.safetensors.index.json`, JSON.stringify({ weight_map }));
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(LLAMA2_CONFIG));

    const file = await openModelFile(folder);
    const { architecture, config } = await describeModel(file);
    const located = locateWeights(file, architecture.weights(config));
    const bytes = located.reduce((sum, { source }) => sum + source.byteLength, 0);
    assertEquals(bytes, 2 * 6_738_415_616);
    const used = new Set(located.flatMap(({ tensors }) => tensors));
    const unused = all.filter(([name]) => !used.has(name));
    assert(unused.every(([name]) => name.endsWith("rotary_emb.inv_freq")) && unused.length === 32);

    const { tensors, fallbacks } = await planConversion(file, "gguf", "q4_0");
    assertEquals(tensors.length, 291);
    const shapes = shapesOf(tensors);
    assertEquals(shapes["token_embd.weight"], [32000, 4096]);
    assertEquals(shapes["blk.31.ffn_down.weight"], [4096, 11008]);
    assertEquals(tensors.find(({ name }) => name === "blk.0.attn_q.weight")?.dtype, "q4_0");
    assertEquals(fallbacks, []);
    file.close();
  }));

Deno.test("GPT-2 in F32, as OpenAI publishes it: base names, masks beside the weights", () =>
  withFolder(async (folder) => {
    await writeSparse(`${folder}/model.safetensors`, "f32", gpt2Tensors());
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(GPT2_CONFIG));
    const file = await openModelFile(folder);
    const { architecture, config } = await describeModel(file);
    const located = locateWeights(file, architecture.weights(config));
    assertEquals(located.reduce((sum, { source }) => sum + source.byteLength, 0), 4 * 124_439_808);
    assertEquals([config.tiedHead, config.intermediateSize, config.contextLength], [true, 3072, 1024]);

    const { tensors, dropped } = await planConversion(file, "gguf");
    assertEquals(tensors.length, 148);
    assert(dropped.every((name) => /^h\.\d+\.attn\.bias$/.test(name)) && dropped.length === 12);
    const shapes = shapesOf(tensors);
    assertEquals(shapes["blk.11.attn_qkv.weight"], [2304, 768]);
    assertEquals(shapes["blk.11.attn_qkv.bias"], [2304]);
    assertEquals(shapes["blk.0.ffn_up.weight"], [3072, 768]);
    assertEquals(shapes["position_embd.weight"], [1024, 768]);
    file.close();
  }));
