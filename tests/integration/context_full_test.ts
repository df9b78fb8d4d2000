/** Texts that are longer than the context, on real kernels. @module */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { convert, type DecoderConfig, type GenerateOptions, load, type Model } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { InvalidArgumentError, UnsupportedOpError } from "../../src/errors.ts";
import type { ContextOptions } from "../../src/generate/context.ts";
import { loadOn, type LoadOptions } from "../../src/load.ts";
import { BACKEND_SOURCES, testOnBackends } from "../support/backends.ts";
import { MODELS, withFolder } from "../support/goldens.ts";
import { VisibleTokens } from "../support/visible_tokens.ts";

const CONTEXT = 192;
const SLIDE: ContextOptions = { contextFull: "slide" };
const SHIFT: ContextOptions = { contextFull: "shift", keep: 30 };

function loadTiny(backend: Backend, source: string | URL, options: LoadOptions = {}): Promise<Model> {
  const rest = { contextLength: CONTEXT, kv: "f32" as const, ...options };
  return loadOn(() => Promise.resolve({ backend, report: [] }), source, rest);
}

/** A backend of the same kind; a model closes the one that it is given. */
async function another(label: string): Promise<Backend> {
  const source = BACKEND_SOURCES.find((candidate) => candidate.label === label);
  assert(source, `there is no backend ${label}`);
  return await source.create();
}

function prompt(model: Model, length: number): number[] {
  return Array.from({ length }, (_, i) => (i * 7 + 11) % model.config.vocabSize);
}

/** ln p of a token. */
function logProbability(logits: Float32Array, id: number): number {
  const max = logits.reduce((a, b) => Math.max(a, b));
  return logits[id] - max - Math.log(logits.reduce((sum, x) => sum + Math.exp(x - max), 0));
}

/** Generates so many contexts of tokens; shows each with what it came after. */
async function generateContexts(
  model: Model,
  contexts: number,
  context: ContextOptions,
  look: (id: number, logprob: number, visible: VisibleTokens) => Promise<void> | void,
  options: GenerateOptions = {},
): Promise<number[]> {
  const ids = prompt(model, 50);
  const visible = new VisibleTokens(ids, model.contextLength, context);
  const maxTokens = Math.ceil(contexts * model.contextLength) - ids.length;
  const generation = model.generate(ids, {
    maxTokens,
    temperature: 1,
    seed: 5,
    ignoreEos: true,
    logprobs: true,
    ...context,
    ...options,
  });
  const said: number[] = [];
  for await (const { id, logprob = NaN } of generation) {
    await look(id, logprob, visible);
    visible.push(id);
    said.push(id);
  }
  assertEquals(said.length, maxTokens);
  assert(visible.departures > contexts);
  return said;
}

/** A model with one layer: its keys depend on nothing but their tokens and positions. */
interface OneLayer {
  readonly name: string;
  readonly model: string;
  /** Fields of `config.json` that are another. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly gguf?: boolean;
  /** What must be so, or the case would test nothing. */
  is(config: DecoderConfig): boolean;
}

const rope = (type: string, more: Record<string, unknown>) => ({
  rope_parameters: { rope_type: type, rope_theta: 10000, ...more },
});
const list = (length: number, from: number): number[] => Array.from({ length }, (_, i) => 1 + from * i);

const ONE_LAYER: readonly OneLayer[] = [
  { name: "plain", model: "llama", is: (c) => c.rope?.scaling.kind === "none" },
  { name: "interleaved", model: "llama", gguf: true, is: (c) => c.rope?.interleaved === true },
  { name: "part of a head", model: "gpt_neox", is: (c) => (c.rope?.rotaryDim ?? 99) < c.headDim },
  { name: "a window", model: "mistral", is: (c) => c.windows[0] === 16 },
  {
    name: "a window with a rope of its own",
    model: "gemma3",
    config: { layer_types: ["sliding_attention"] },
    is: (c) => c.windows[0] > 0 && c.localRope !== undefined,
  },
  {
    name: "no window beside such",
    model: "gemma3",
    config: { layer_types: ["full_attention"] },
    is: (c) => c.windows[0] === 0 && c.localRope !== undefined,
  },
  {
    name: "no positions in the layer",
    model: "smollm3",
    config: { no_rope_layers: [0] },
    is: (c) => c.ropeLayers?.[0] === false,
  },
  {
    name: "linear",
    model: "llama",
    config: rope("linear", { factor: 4 }),
    is: (c) => c.rope?.scaling.kind === "linear",
  },
  {
    name: "dynamic",
    model: "llama",
    config: rope("dynamic", { factor: 4 }),
    is: (c) => c.rope?.scaling.kind === "dynamic",
  },
  {
    name: "YaRN",
    model: "llama",
    config: rope("yarn", { factor: 4, original_max_position_embeddings: 64 }),
    is: (c) => c.rope?.scaling.kind === "yarn" && c.rope.scaling.attentionFactor > 1,
  },
  {
    name: "llama3",
    model: "llama3-rope",
    is: (c) => c.rope?.scaling.kind === "llama3",
  },
  ...[64, 256].map((original): OneLayer => ({
    name: `longrope of ${original}`,
    model: "phi3",
    config: {
      original_max_position_embeddings: original,
      ...rope("longrope", { factor: 4, short_factor: list(8, 0.1), long_factor: list(8, 0.5) }),
    },
    is: (c) => c.rope?.scaling.kind === "longrope",
  })),
  { name: "ALiBi", model: "bloom", is: (c) => c.alibi !== undefined },
];

/** Writes a model's folder with another configuration. */
async function withConfig(name: string, folder: string, config: Record<string, unknown>): Promise<string> {
  const source = new URL(`${name}/`, MODELS);
  const original = JSON.parse(await Deno.readTextFile(new URL("config.json", source)));
  await Deno.copyFile(new URL("model.safetensors", source), `${folder}/model.safetensors`);
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify({ ...original, ...config }));
  return folder;
}

await testOnBackends(
  "of one layer, what is left of a context is as if it had been read afresh",
  async (_, t, label) => {
    const fast = label !== "reference" && label !== "webgpu";
    for (
      const { name, model: source, config, gguf, is } of label === "webgpu"
        ? ONE_LAYER.slice(0, 1)
        : ONE_LAYER
    ) {
      await t.step(name, () =>
        withFolder(async (folder) => {
          const one = {
            num_hidden_layers: 1,
            n_layer: 1,
            max_position_embeddings: 256,
            layer_types: undefined,
          };
          const fields = { ...one, no_rope_layers: undefined, ...config };
          let path: string = await withConfig(source, folder, fields);
          if (gguf) await convert(path, path = `${folder}/model.gguf`);
          for (const context of fast ? [SLIDE, SHIFT] : [SHIFT]) {
            await using model = await loadTiny(await another(label), path);
            assert(is(model.config) && model.config.layers === 1, "another model was meant");
            let [departures, step] = [0, 0];
            await generateContexts(model, 1.6, context, async (id, logprob, visible) => {
              const now = visible.departures > departures;
              departures = visible.departures;
              if (!now && step++ % 64 !== 0) return;
              const expected = logProbability(await model.logits(visible.tokens), id);
              const message = `${context.contextFull}: ${logprob} and should be ${expected}`;
              assert(Math.abs(logprob - expected) < 2e-5, message);
            });
            assertEquals(model.usage.heldPages, 0);
          }
        }));
    }
  },
);

const LONG = [["f32", SLIDE, 96], ["f16", SHIFT, CONTEXT]] as const;

/** Where WebGPU is software, a token takes ten milliseconds and more. */
const LONG_ON_WEBGPU = [["f16", SLIDE, 96]] as const;

await testOnBackends("four contexts of text come to an end without a page lost", async (_, t, label) => {
  const slow = label === "reference" || label === "webgpu";
  for (const name of slow ? ["llama-gqa"] : ["llama-gqa", "mistral", "gemma3", "smollm3"]) {
    for (const [kv, context, contextLength] of label === "webgpu" ? LONG_ON_WEBGPU : LONG) {
      await t.step(`${name} ${kv} ${context.contextFull}`, () =>
        withFolder(async (folder) => {
          const source = await withConfig(name, folder, { max_position_embeddings: contextLength });
          await using model = await loadTiny(await another(label), source, { kv, contextLength });
          const look = (_: number, logprob: number): void => assert(Number.isFinite(logprob));
          const said = await generateContexts(model, 4, context, look);
          assertEquals(model.usage.heldPages, 0);
          if (label !== "webgpu") assertEquals(await generateContexts(model, 4, context, look), said);
        }));
    }
  }
});

await testOnBackends("others in the batch are not affected to the bit", async (backend) => {
  await using model = await loadTiny(backend, new URL("llama-gqa/", MODELS), { contextLength: 128 });
  // Software WebGPU begins nearer to where the context is full.
  const [read, within, beyond] = backend.name === "webgpu" ? [100, 20, 45] : [60, 60, 300];
  const ids = prompt(model, read);
  const short = async (): Promise<[number, number | undefined][]> => {
    const all: [number, number | undefined][] = [];
    const options = { maxTokens: within, temperature: 1, seed: 1, ignoreEos: true, logprobs: true };
    for await (const { id, logprob } of model.generate(ids, options)) all.push([id, logprob]);
    return all;
  };
  const long = async (context: ContextOptions): Promise<readonly number[]> => {
    const options = { maxTokens: beyond, temperature: 1, seed: 2, ignoreEos: true };
    return (await model.generate(ids, { ...options, ...context }).stats()).ids;
  };
  const alone = [await short(), await long(SLIDE), await long({ ...SLIDE, keep: 0 })];
  assertEquals(alone[2].length, beyond);
  // All of them begin with the pages that the first one left behind.
  assertEquals(await Promise.all([short(), long(SLIDE), long({ ...SLIDE, keep: 0 })]), alone);
  assertEquals(await short(), alone[0]);
  assertEquals(model.usage.heldPages, 0);
});

await testOnBackends("an encoder–decoder's text outlives its context too", async (backend) => {
  await using model = await loadTiny(backend, new URL("t5/", MODELS), { contextLength: 96 });
  const options = { maxTokens: 200, temperature: 0, ignoreEos: true };
  assertEquals((await model.generate(prompt(model, 9), { ...options, ...SLIDE }).stats()).ids.length, 200);
}, (name) => name === "wasm" || name === "native");

await testOnBackends("who learned its positions is refused at the call", async (backend) => {
  await using model = await loadTiny(backend, new URL("gpt2/", MODELS), { contextLength: 96 });
  assertThrows(() => model.generate([1], SLIDE), InvalidArgumentError, "learned its positions");
}, (name) => name === "reference");

await testOnBackends("a backend that cannot turn keys is refused at the call", async (backend) => {
  const supports = backend.supports.bind(backend);
  backend.supports = (op, dtypes) => op !== "ropeShift" && supports(op, dtypes);
  await using model = await loadTiny(backend, new URL("llama/", MODELS), { contextLength: 96 });
  assertThrows(() => model.generate([1], SLIDE), UnsupportedOpError, "ropeShift");
}, (name) => name === "reference");

/**
 * A text that has outlived its context is no more surprising than one that has not. With keys that are left at their old
 * positions it is, by more than 2.
 */
for (const [contextFull, contextLength] of [["slide", 96], ["shift", 192]] as const) {
  Deno.test(`${contextFull}: stories beyond the context are as likely as within`, async () => {
    await using whole = await load(undefined, { backend: "wasm" });
    await using short = await load(undefined, { backend: "wasm", contextLength });
    const options = { temperature: 0.7, seed: 3, ignoreEos: true };
    const text = "Once upon a time";
    const { ids } = await short.generate(text, { ...options, maxTokens: 4 * contextLength, contextFull })
      .stats();
    const plain = await whole.generate(text, { ...options, maxTokens: 500 }).stats();
    const [after, usual] = [
      await whole.score(ids.slice(contextLength), 250),
      await whole.score(plain.ids, 250),
    ];
    assert(after.nll < usual.nll + 0.5, `${after.nll} is more than ${usual.nll}`);
  });
}
