/** Norms and the other ops between the linears, at the widths of SmolLM2-135M. @module */
import type { Recorder, Ref } from "../../src/program/recorder.ts";
import { integers, normal } from "../../tests/support/random.ts";
import { benchProgram } from "../support/bench_program.ts";

const [HIDDEN, INNER, HEADS, HEAD_DIM, VOCABULARY] = [576, 1536, 9, 64, 49152];
const EPS = 1e-5;

/** Registers an op over rows of one width, for decode, a batch and a prefill. */
function rowOp(name: string, width: number, record: (g: Recorder, x: Ref) => Ref, rows = [1, 8, 256]): void {
  for (const count of rows) {
    benchProgram({
      name: `${name}, ${count}x${width}`,
      group: name,
      counts: { rows: count, outputs: 0 },
      record: (g) => void g.output("y", record(g, g.input("x", "f32", ["rows", width]))),
      fillings: () => ({
        x: normal(count * width, 1),
        other: normal(count * width, 2),
        weight: normal(width, 3),
        bias: normal(width, 4),
        positions: integers(count, 4096, 5),
      }),
    });
  }
}

rowOp("rmsNorm", HIDDEN, (g, x) => g.rmsNorm(x, g.weight("weight", "f32", [HIDDEN]), EPS));
rowOp("layerNorm", HIDDEN, (g, x) => {
  return g.layerNorm(x, g.weight("weight", "f32", [HIDDEN]), g.weight("bias", "f32", [HIDDEN]), EPS);
});
rowOp("add and rmsNorm", HIDDEN, (g, x) => {
  const sum = g.add(x, g.input("other", "f32", ["rows", HIDDEN]));
  g.output("sum", sum);
  return g.rmsNorm(sum, g.weight("weight", "f32", [HIDDEN]), EPS);
});
rowOp("gated silu", INNER, (g, x) => {
  return g.mul(g.activation(x, "silu"), g.input("other", "f32", ["rows", INNER]));
});
rowOp("rope", HEADS * HEAD_DIM, (g, x) => {
  const inverseFrequencies = Array.from({ length: HEAD_DIM / 2 }, (_, i) => 100_000 ** (-2 * i / HEAD_DIM));
  const [table] = g.record("ropeTable", [g.step("positions", "i32", ["rows"])], { inverseFrequencies });
  return g.record("rope", [x, table], { heads: HEADS })[0];
});
rowOp("softmax", VOCABULARY, (g, x) => g.softmax(x), [1, 8]);
rowOp("argmax", VOCABULARY, (g, x) => g.argmax(x), [1, 8]);
