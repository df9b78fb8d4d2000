import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { randomPrograms } from "../../tests/support/random_program.ts";
import { OP_NAMES } from "./ops.ts";
import type { OpSupport } from "./lower.ts";
import { ARENA_ALIGN, lifetimes, packedWeights, plan } from "./plan.ts";
import { storageOf } from "./program.ts";
import { Recorder } from "./recorder.ts";

const claimsAll: OpSupport = { name: "all", supports: (op) => OP_NAMES.includes(op) };
const claimsBase: OpSupport = {
  name: "base",
  supports: (op) => !["gatedActivation", "addRmsNorm", "linearGroup"].includes(op),
};

Deno.test("temporaries alive at once never overlap in the arena", () => {
  fc.assert(fc.property(randomPrograms, fc.boolean(), (program, fused) => {
    const { program: ready, arenaBytes, offsets } = plan(program, fused ? claimsAll : claimsBase);
    const spans = lifetimes(ready);
    for (const [i, a] of spans.entries()) {
      const start = offsets.get(a.id);
      assert(start !== undefined && start % ARENA_ALIGN === 0 && start + a.bytes <= arenaBytes);
      for (const b of spans.slice(0, i)) {
        const other = offsets.get(b.id) ?? 0;
        const together = a.first <= b.last && b.first <= a.last;
        assert(!together || start + a.bytes <= other || other + b.bytes <= start, `${a.id} and ${b.id}`);
      }
    }
  }));
});

Deno.test("every temporary is alive from its first write to its last use, aliases included", () => {
  fc.assert(fc.property(randomPrograms, (program) => {
    const spans = new Map(lifetimes(program).map((span) => [span.id, span]));
    program.ops.forEach((op, position) => {
      for (const id of [...op.inputs, ...op.outputs].filter((id) => id >= 0)) {
        const root = storageOf(program, id);
        if (program.values[root].kind !== "temp") continue;
        const span = spans.get(root);
        assert(span && span.first <= position && position <= span.last);
      }
    });
  }));
});

Deno.test("a chain of ops needs room for two values", () => {
  const g = new Recorder("chain", { rows: 4, outputs: 0 });
  let x = g.input("x", "f32", ["rows", 16]);
  for (let i = 0; i < 10; i++) x = g.activation(x, "tanh");
  g.output("y", x);
  assertEquals(plan(g.finish(), claimsAll).arenaBytes, 2 * 4 * 16 * 4);
});

Deno.test("weights of linears and embeddings are packed, vectors are not", () => {
  const g = new Recorder("weights", { rows: 4, outputs: 0 });
  const x = g.embed(g.step("ids", "i32", ["rows"]), g.weight("tokens", "q8_0", [9, 32]));
  const normed = g.rmsNorm(x, g.weight("norm", "f32", [32]), 1e-5);
  g.output("y", g.linear(normed, g.weight("w", "q4_0", [5, 32]), g.weight("b", "f32", [5])));
  assertEquals([...packedWeights(g.finish())], ["tokens", "w"]);
});
