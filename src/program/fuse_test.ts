import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createReferenceBackend } from "../backends/reference/mod.ts";
import { UnsupportedOpError } from "../errors.ts";
import { normal } from "../../tests/support/random.ts";
import { randomPrograms } from "../../tests/support/random_program.ts";
import { Rig } from "../../tests/support/rig.ts";
import { fuse } from "./fuse.ts";
import { lower, type OpSupport } from "./lower.ts";
import { OPS } from "./ops.ts";
import type { Program } from "./program.ts";
import { Recorder } from "./recorder.ts";

const claimsAll: OpSupport = { name: "all", supports: () => true };
const claimsBase: OpSupport = { name: "base", supports: (op) => !OPS[op].lower };

const names = (program: Program): string[] => program.ops.map((op) => op.name);

/** Attention's inputs and a feed-forward part, as models record them. */
function layer(): Program {
  const g = new Recorder("layer", { rows: 4, outputs: 0 });
  const weight = (name: string, rows: number) => g.weight(name, "f32", [rows, 8]);
  const x = g.input("x", "f32", ["rows", 8]);
  const normed = g.rmsNorm(x, g.weight("norm", "f32", [8]), 1e-5);
  const [q, k, v] = ["q", "k", "v"].map((name) => g.linear(normed, weight(name, 8)));
  const sum = g.add(x, g.mul(g.mul(q, k), v));
  const inner = g.rmsNorm(sum, g.weight("norm2", "f32", [8]), 1e-5);
  const gate = g.linear(inner, weight("gate", 8));
  const up = g.linear(inner, weight("up", 8));
  g.output("y", g.add(sum, g.mul(g.activation(gate, "silu"), up)));
  return g.finish();
}

Deno.test("linears of one input, gates and residual norms are fused", () => {
  assertEquals(names(fuse(layer(), claimsAll)), [
    "rmsNorm",
    "linearGroup",
    "mul",
    "mul",
    "addRmsNorm",
    "linearGroup",
    "gatedActivation",
    "add",
  ]);
});

Deno.test("nothing is fused for a backend that claims nothing fused", () => {
  assertEquals(fuse(layer(), claimsBase).ops, layer().ops);
});

Deno.test("what is fused is lowered to what was recorded", () => {
  fc.assert(fc.property(randomPrograms, (program) => {
    const lowered = lower(fuse(program, claimsAll), claimsBase);
    assertEquals(names(lowered), names(program));
  }));
});

Deno.test("an activation that is used twice or broadcast is not fused", () => {
  const g = new Recorder("twice");
  const [x, up, row] = [
    g.input("x", "f32", [3, 4]),
    g.input("up", "f32", [3, 4]),
    g.input("row", "f32", [4]),
  ];
  const activated = g.activation(x, "silu");
  const gated = g.mul(activated, up);
  g.output("twice", g.add(gated, activated));
  g.output("broadcast", g.mul(g.activation(row, "silu"), up));
  g.output("squared", g.mul(g.activation(g.add(x, up), "relu"), row));
  const wanted = ["activation", "mul", "add", "activation", "mul", "add", "activation", "mul"];
  assertEquals(names(fuse(g.finish(), claimsAll)), wanted);
});

Deno.test("fused, lowered and recorded Programs give the same numbers", async () => {
  using backend = createReferenceBackend();
  const weights = Object.fromEntries(["w0", "w1", "w2"].map((name, i) => [name, normal(64, i, 0.4)]));
  const fillings = { ...weights, norm: normal(8, 5), x0: normal(40, 6), x1: normal(40, 7) };
  await fc.assert(
    fc.asyncProperty(randomPrograms, async (program) => {
      const results = [];
      for (
        const version of [program, fuse(program, claimsAll), lower(fuse(program, claimsAll), claimsBase)]
      ) {
        using rig = await Rig.create(backend, version, fillings);
        rig.run({ rows: 4, outputs: 0 });
        results.push(await rig.read());
      }
      assertEquals(results[1], results[0]);
      assertEquals(results[2], results[0]);
    }),
    { numRuns: 40 },
  );
});

Deno.test("an op that is neither claimed nor can be lowered fails", () => {
  const claimsNothing: OpSupport = { name: "nothing", supports: () => false };
  const error = assertThrows(() => lower(layer(), claimsNothing), UnsupportedOpError);
  assert(error.message.includes("rmsNorm"));
});
