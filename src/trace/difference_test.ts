import { assert, assertEquals } from "@std/assert";
import { LAYER_ROWS, layerStep, layerWeights, recordLayers } from "../../tests/conformance/cases/layer.ts";
import { fillingBytes, type Fillings, memorySource } from "../../tests/support/rig.ts";
import type { Backend, Buffer, WeightHandle } from "../backends/backend.ts";
import { createReferenceBackend } from "../backends/reference/mod.ts";
import { packedWeights, valueBytes } from "../program/plan.ts";
import type { Op, Program } from "../program/program.ts";
import { Recorder } from "../program/recorder.ts";
import { StepRecord } from "../program/step.ts";
import {
  type TracedBackend,
  type TraceDifference,
  traceDifference,
  type TraceOptions,
} from "./difference.ts";

/** A reference backend that computes some ops wrongly: they are changed before they are compiled. */
function sabotaged(change: (op: Op) => Op): Backend {
  const backend = createReferenceBackend();
  const compile = backend.compile.bind(backend);
  return Object.assign(backend, {
    compile: (program: Program, bindings: TracedBackend["bindings"]) =>
      compile({ ...program, ops: program.ops.map(change) }, bindings),
  });
}

async function bind(backend: Backend, program: Program, fillings: Fillings): Promise<TracedBackend> {
  const bindings = new Map<string, Buffer | WeightHandle>();
  const packed = packedWeights(program);
  for (const { name, kind, dtype, shape, ...value } of program.values) {
    if (kind === "weight") {
      const filling = fillings[name];
      const layout = packed.has(name) ? "packed" as const : "plain" as const;
      const source = memorySource("dtype" in filling ? filling.dtype : "f32", fillingBytes(filling));
      bindings.set(name, await backend.upload({ name, dtype, shape: shape as number[], layout }, source));
    } else if (kind === "state") {
      bindings.set(name, backend.alloc(valueBytes({ name, kind, dtype, shape, ...value }, program)));
    }
  }
  return { backend, bindings };
}

/** The small model of the conformance suite. */
function layers(): Program {
  const g = new Recorder("layers", { rows: 40, outputs: 4 });
  recordLayers(g, "f32", "f16");
  return g.finish();
}

/** Traces one step against a backend that changes ops. */
async function traceLayers(
  change: (op: Op) => Op,
  options?: TraceOptions,
): Promise<TraceDifference | undefined> {
  const program = layers();
  const step = new StepRecord(program);
  step.setCounts(LAYER_ROWS.length, 2);
  for (const [name, filling] of Object.entries(layerStep(LAYER_ROWS, [3, 20]))) {
    step.ints(name).set(filling as Int32Array);
  }
  using good = createReferenceBackend();
  using bad = sabotaged(change);
  const weights = layerWeights("f32");
  const [trusted, suspect] = [await bind(good, program, weights), await bind(bad, program, weights)];
  return await traceDifference(program, trusted, suspect, step, options);
}

/** Position of the n-th op of a name. */
function indexOf(name: string, n: number): number {
  const positions = layers().ops.map((op, i) => (op.name === name ? i : -1)).filter((i) => i >= 0);
  return positions[n];
}

Deno.test("two equal backends do not differ", async () => {
  assertEquals(await traceLayers((op) => op), undefined);
});

Deno.test("the first op that is computed wrongly is named", async () => {
  const difference = await traceLayers((
    op,
  ) => (op.name === "rmsNorm" ? { ...op, attrs: { ...op.attrs, eps: 1 } } : op));
  assert(difference);
  assertEquals([difference.index, difference.op.name], [indexOf("rmsNorm", 0), "rmsNorm"]);
  assert(difference.maxAbsDifference > 1e-2 && difference.maxAbsDifference < 10);
  assertEquals(Math.abs(difference.expected - difference.actual), difference.maxAbsDifference);
});

Deno.test("a fault late in the Program is not blamed on what is before it", async () => {
  const difference = await traceLayers((
    op,
  ) => (op.name === "activation" ? { ...op, attrs: { kind: "relu" } } : op));
  assertEquals(difference?.index, indexOf("activation", 0));
});

/** Keys and values of the cache changed for one another. */
function swapKeysAndValues(op: Op): Op {
  const [k, v, ...rest] = op.inputs;
  return op.name === "writeKv" ? { ...op, inputs: [v, k, ...rest] } : op;
}

Deno.test("a wrong write to a cache is found in the state, or where it is read", async () => {
  const early = await traceLayers(swapKeysAndValues, { compareStates: true });
  assertEquals([early?.op.name, early?.value.name], ["writeKv", "0.keys"]);
  const late = await traceLayers(swapKeysAndValues);
  assertEquals(late?.index, indexOf("pagedAttention", 0));
});

Deno.test("a NaN is as far off as can be", async () => {
  const difference = await traceLayers((
    op,
  ) => (op.name === "pagedAttention" ? { ...op, attrs: { ...op.attrs, scale: NaN } } : op));
  assertEquals([difference?.op.name, difference?.maxAbsDifference], ["pagedAttention", Infinity]);
});
