/** What `load` is asked for is checked before any memory is taken. @module */
import { assertEquals, assertRejects } from "@std/assert";
import { DTypeError, InvalidArgumentError } from "./errors.ts";
import { createReferenceBackend } from "./backends/reference/mod.ts";
import { createWasmBackend } from "./backends/wasm/mod.ts";
import { openModelFile } from "./formats/open.ts";
import { chooseCache, load, type LoadOptions } from "./load.ts";
import { describeModel } from "./models/describe.ts";
import { embeddedModel } from "./models/embedded/mod.ts";
import { locateWeights } from "./weights.ts";

const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  backend: ["cuda9"],
  threads: [0, 1.5],
  contextLength: [0, 1.5, 1e9],
  kv: ["q4", "F16"],
  maxSequences: [0, 129, 1.5],
  maxQueue: [-1, 0.5],
};

for (const [name, values] of Object.entries(WRONG)) {
  Deno.test(`load refuses ${name} of ${values.join(", ")}`, async () => {
    for (const value of values) {
      const options = { [name]: value } as LoadOptions;
      await assertRejects(() => load(undefined, options), InvalidArgumentError, name);
    }
  });
}

Deno.test("the cache is F32 for F32 weights; else Q16 where the backend has it and heads are whole blocks, or F16", async () => {
  const file = await openModelFile(embeddedModel());
  const description = await describeModel(file);
  const located = locateWeights(file, description.architecture.weights(description.config));
  const exact = located.map((weight) => ({ ...weight, spec: { ...weight.spec, dtype: "f32" as const } }));
  using wasm = await createWasmBackend();
  using reference = createReferenceBackend();
  const without = { supports: (_: string, dtypes: readonly string[]) => !dtypes.includes("q16") };
  const choice = (
    backend: Parameters<typeof chooseCache>[0],
    headDim: number,
    weights = located,
    kv?: LoadOptions["kv"],
  ): string => {
    const config = { ...description.config, headDim };
    return chooseCache(backend, { ...description, config }, weights, { kv }).cacheDType;
  };
  for (const backend of [wasm, reference]) {
    assertEquals([16, 64, 80, 128].map((headDim) => choice(backend, headDim)), ["f16", "q16", "f16", "q16"]);
    assertEquals(choice(backend, 64, exact), "f32");
  }
  assertEquals(choice(without, 64), "f16");
  assertEquals((["f32", "f16", "q16", "q8"] as const).map((kv) => choice(without, 64, located, kv)), [
    "f32",
    "f16",
    "q16",
    "q8_0",
  ]);
  file.close();
});

Deno.test("load refuses to quantize to what is no kind", async () => {
  const error = await assertRejects(() => load(undefined, { quantize: "q9" as "q8_0" }), DTypeError);
  assertEquals(error.message.startsWith("cannot quantize to q9; choose one of q8_0"), true);
});

Deno.test("load ends with the signal's reason: at once, while a stream is read, and after the last weight", async () => {
  const enough = new RangeError("enough");
  await assertRejects(() => load(undefined, { signal: AbortSignal.abort(enough) }), RangeError);
  let cancelled: unknown;
  const endless = new ReadableStream<Uint8Array>({ cancel: (reason) => void (cancelled = reason) });
  const controller = new AbortController();
  const loading = load(endless, { signal: controller.signal });
  controller.abort(enough);
  await assertRejects(() => loading, RangeError);
  assertEquals(cancelled, enough);
  const late = new AbortController();
  const onProgress = ({ loaded, total }: { loaded: number; total: number }): void => {
    if (loaded === total) late.abort(enough);
  };
  await assertRejects(() => load(undefined, { signal: late.signal, onProgress }), RangeError);
});
