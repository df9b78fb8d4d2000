/** What `load` is asked for is checked before any memory is taken. @module */
import { assertEquals, assertRejects } from "@std/assert";
import { DTypeError, InvalidArgumentError } from "./errors.ts";
import { load, type LoadOptions } from "./load.ts";

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
