/** What uploads leave behind in the core's memory. @module */
import { assert } from "@std/assert";
import { byteLength } from "../../tensor/dtype.ts";
import { elementCount } from "../../tensor/shape.ts";
import type { WeightSource } from "../backend.ts";
import { hasRelaxedSimd } from "../wasm/features.ts";
import { wasmAbi } from "../wasm/exports.ts";
import { instantiate } from "../wasm/load.ts";
import { Ledger } from "./ledger.ts";
import { CHUNK_BYTES, Staging } from "./staging.ts";
import { upload, weightBytes } from "./upload.ts";

/** Matrices of a layer of SmolLM2-135M, [out, in]: most are smaller than a chunk. */
const LAYER = [[576, 576], [192, 576], [192, 576], [576, 576], [1536, 576], [1536, 576], [576, 1536]];
const LAYERS = 12;
/** Large blocks of WebAssembly memory are whole pages. */
const PAGE = 65536;

Deno.test("weights leave no gaps between each other in the core's memory", async () => {
  const instance = await instantiate(hasRelaxedSimd() ? "relaxed" : "simd");
  const memory = instance.exports.memory as WebAssembly.Memory;
  const abi = wasmAbi(instance);
  const to = { name: "wasm", abi, ledger: new Ledger(abi, 2 ** 32), staging: new Staging(abi) };
  const before = memory.buffer.byteLength;
  let needed = 0;
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const [i, shape] of LAYER.entries()) {
      const source: WeightSource = {
        dtype: "q8_0",
        byteLength: byteLength("q8_0", elementCount(shape)),
        read: (_, length) => Promise.resolve(new Uint8Array(length)),
        readSync: (_, into) => void into.fill(0),
      };
      const spec = { name: `${layer}.${i}`, dtype: "q8_0", shape, layout: "packed" } as const;
      await upload(to, spec, source);
      needed += Math.ceil(weightBytes(abi, spec) / PAGE) * PAGE;
    }
  }
  const grown = memory.buffer.byteLength - before;
  assert(grown <= needed + 2 * CHUNK_BYTES, `${needed} bytes of weights made memory grow by ${grown}`);
});
