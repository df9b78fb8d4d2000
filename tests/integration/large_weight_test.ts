/** A weight of more elements than 2^27, as the embedding of Qwen2.5 0.5B has: its bytes are what counts in 32-bit memory. @module */
import { assert } from "@std/assert";
import { createWasmBackend } from "../../src/backends/wasm/mod.ts";
import { Recorder } from "../../src/program/recorder.ts";
import { byteLength } from "../../src/tensor/dtype.ts";
import { Rig } from "../support/rig.ts";

const VOCAB = 151_936;
const WIDTH = 896;

for (const build of ["simd", "relaxed"] as const) {
  Deno.test(`an embedding of 136 million elements is looked up and multiplied with (${build})`, async () => {
    assert(VOCAB * WIDTH > 2 ** 27);
    const g = new Recorder("large", { rows: 2, outputs: 0 });
    const weight = g.weight("weight", "q4_0", [VOCAB, WIDTH]);
    g.output("embedded", g.embed(g.input("ids", "i32", ["rows"]), weight));
    g.output("logits", g.linear(g.input("x", "f32", ["rows", WIDTH]), weight));

    // All zeros, and a last row of ones: scale 1, nibbles of 9 - 8.
    const bytes = new Uint8Array(byteLength("q4_0", VOCAB * WIDTH));
    const row = byteLength("q4_0", WIDTH);
    for (let at = bytes.length - row; at < bytes.length; at += 18) {
      bytes.set([0x00, 0x3c], at);
      bytes.fill(0x99, at + 2, at + 18);
    }
    await using backend = await createWasmBackend({ build, threads: 1 });
    const rig = await Rig.create(backend, g.finish(), {
      weight: { dtype: "q4_0", bytes },
      ids: Int32Array.of(VOCAB - 1, 0),
      x: new Float32Array(2 * WIDTH).fill(1),
    });
    rig.run({ rows: 2, outputs: 0 });

    const outputs = await rig.read();
    const floats = (name: string) => new Float32Array(outputs.get(name)!.bytes.slice().buffer);
    const embedded = floats("embedded");
    assert(embedded.subarray(0, WIDTH).every((value) => value === 1));
    assert(embedded.subarray(WIDTH).every((value) => value === 0));
    const logits = floats("logits");
    // Activations are integers times a rounded scale.
    const expected = (i: number) => i % VOCAB === VOCAB - 1 ? WIDTH : 0;
    assert(logits.every((value, i) => Math.abs(value - expected(i)) <= 1e-6 * expected(i)));
  });
}
