/** `linear` by dtype, shape and rows: the shapes of SmolLM2-135M. Names give the multiply-adds of a step. @module */
import type { DType } from "../../src/tensor/dtype.ts";
import { normal } from "../../tests/support/random.ts";
import { benchProgram, weights } from "../support/bench_program.ts";

const DTYPES: readonly DType[] = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "f16", "bf16", "f32"];
/** Rows of a step: decode, a batch, a part of a prefill, a prefill. */
const ROWS = [1, 8, 64, 256];
/** Weights as [out, in], and where they stand. */
const SHAPES = [
  { out: 576, inner: 576, place: "query, output" },
  { out: 192, inner: 576, place: "key, value" },
  { out: 1536, inner: 576, place: "gate, up" },
  { out: 576, inner: 1536, place: "down" },
  { out: 49152, inner: 576, place: "head" },
];

for (const { out, inner, place } of SHAPES) {
  for (const rows of ROWS) {
    const multiplyAdds = rows * out * inner;
    for (const dtype of DTYPES) {
      benchProgram({
        name: `linear ${dtype} ${out}x${inner}, rows ${rows}, ${(multiplyAdds / 1e6).toFixed(2)} MMAC`,
        multiplyAdds,
        group: `linear ${out}x${inner} (${place}), rows ${rows}`,
        counts: { rows, outputs: 0 },
        record(g) {
          const x = g.input("x", "f32", ["rows", inner]);
          g.output("y", g.linear(x, g.weight("w", dtype, [out, inner])));
        },
        fillings: () => ({ x: normal(rows * inner, 1), w: weights(dtype, out, inner, 2) }),
      });
    }
  }
}
