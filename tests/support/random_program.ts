/**
 * Programs that nobody would write, for property tests.
 *
 * @module
 */
import fc from "fast-check";
import type { Program } from "../../src/program/program.ts";
import { Recorder, type Ref } from "../../src/program/recorder.ts";

/** What one random op is: a kind, and which of the values so far it reads. */
const randomOp = fc.record({
  kind: fc.constantFrom(
    "add",
    "mul",
    "activation",
    "rmsNorm",
    "reshape",
    "linear",
    "softmax",
    "gated",
    "sum",
  ),
  first: fc.nat(),
  second: fc.nat(),
  isOutput: fc.boolean(),
});

/** Random DAGs over `[rows, 8]` values. Weights are `w0`…`w2` [8, 8] and `norm` [8], the inputs `x0`, `x1`. */
export const randomPrograms: fc.Arbitrary<Program> = fc.array(randomOp, { minLength: 1, maxLength: 24 }).map(
  (ops) => {
    const g = new Recorder("random", { rows: 5, outputs: 0 });
    const values: Ref[] = [g.input("x0", "f32", ["rows", 8]), g.input("x1", "f32", ["rows", 8])];
    let outputs = 0;
    const keep = (ref: Ref): void => void g.output(`y${outputs++}`, ref);
    let last: Ref | undefined;
    for (const { kind, first, second, isOutput } of ops) {
      const [a, b] = [values[first % values.length], values[second % values.length]];
      if (kind === "reshape") {
        values.push(g.reshape(g.reshape(a, ["rows", 2, 4]), ["rows", 8]));
        continue;
      }
      last = compute(g, kind, a, b, second % 3);
      values.push(last);
      if (isOutput) {
        keep(last);
        last = undefined;
      }
    }
    keep(last ?? g.add(values[0], values[1]));
    return g.finish();
  },
);

function compute(g: Recorder, kind: string, a: Ref, b: Ref, weight: number): Ref {
  switch (kind) {
    case "add":
      return g.add(a, b);
    case "mul":
      return g.mul(g.activation(a, "sigmoid"), b);
    case "activation":
      return g.activation(a, "tanh");
    case "rmsNorm":
      return g.rmsNorm(g.add(a, b), g.weight("norm", "f32", [8]), 1e-3);
    case "softmax":
      return g.softmax(a);
    case "gated":
      return g.mul(b, g.activation(a, "gelu"));
    case "sum":
      return g.mul(a, g.reduce(b, "mean", 1, true));
    default: {
      const y = g.linear(a, g.weight(`w${weight}`, "f32", [8, 8]));
      return g.add(y, g.linear(a, g.weight("w0", "f32", [8, 8])));
    }
  }
}
