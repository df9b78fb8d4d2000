/**
 * Runs Programs under `deno bench`: through a backend's public interface, so the same case measures every backend.
 * `LLMFORGE_BENCH_BACKEND` names the backend, WASM where it is not set.
 *
 * @module
 */
import type { Backend, BackendName, Buffer, Executable, WeightHandle } from "../../src/backends/backend.ts";
import { createBackend } from "../../src/backends/select.ts";
import { packedWeights, valueBytes } from "../../src/program/plan.ts";
import type { Capacity } from "../../src/program/program.ts";
import { Recorder } from "../../src/program/recorder.ts";
import { StepRecord } from "../../src/program/step.ts";
import { byteLength, type DType } from "../../src/tensor/dtype.ts";
import { packed } from "../../tests/support/random.ts";
import { fillingBytes, type Fillings, memorySource, type Packed } from "../../tests/support/rig.ts";

/** A Program to measure. */
export interface ProgramCase {
  /** Name of the benchmark. */
  readonly name: string;
  /** Cases that are compared with each other. */
  readonly group: string;
  /** Rows and outputs of the step; the Program has just this capacity. */
  readonly counts: Capacity;
  /** Multiply-adds of a step, where it has many. */
  readonly multiplyAdds?: number;
  /** Records the Program; the output that is waited for is called `y`. */
  record(g: Recorder): void;
  /** Contents of weights, inputs, states and step fields; made when the case runs first. */
  fillings(): Fillings;
}

/** A compiled Program that can be run again and again. */
interface Ready {
  readonly case: ProgramCase;
  run(): Promise<void>;
  dispose(): void;
}

const backendName = (Deno.env.get("LLMFORGE_BENCH_BACKEND") ?? "wasm") as BackendName;
let opened: Promise<Backend> | undefined;
let current: Ready | undefined;

/** The backend that the cases of this process run on. */
export function benchBackend(): Promise<Backend> {
  return opened ??= createBackend(backendName);
}

/** Multiply-adds above which a few repeats are enough. */
const HEAVY = 5e7;

/**
 * Registers a benchmark: one step of the Program, from the call to the first word of its output. The first call, which
 * makes it ready, falls into the warm-up.
 */
export function benchProgram(program: ProgramCase): void {
  Deno.bench({
    name: program.name,
    group: `${program.group} (${backendName})`,
    ...((program.multiplyAdds ?? 0) > HEAVY ? { n: 10 } : {}),
    // Only what is declared async is awaited.
    async fn() {
      await (current?.case === program ? current.run() : prepareAndRun(program));
    },
  });
}

/** Random weights. Large ones repeat a part, because making them takes longer than measuring them. */
export function weights(dtype: DType, rows: number, columns: number, seed: number): Packed {
  const distinct = Math.min(rows, 64);
  const part = packed(dtype, distinct * columns, seed, columns ** -0.5);
  const bytes = new Uint8Array(byteLength(dtype, rows * columns));
  for (let at = 0; at < bytes.length; at += part.bytes.length) {
    bytes.set(part.bytes.subarray(0, bytes.length - at), at);
  }
  return { dtype, bytes };
}

/** Makes the case ready. One is held at a time, so that large weights do not add up. */
async function prepareAndRun(wanted: ProgramCase): Promise<void> {
  current?.dispose();
  current = undefined;
  current = await compile(await benchBackend(), wanted);
  await current.run();
}

async function compile(backend: Backend, wanted: ProgramCase): Promise<Ready> {
  const g = new Recorder(wanted.name, wanted.counts);
  wanted.record(g);
  const program = g.finish();
  const fillings = wanted.fillings();
  const bindings = new Map<string, Buffer | WeightHandle>();
  const step = new StepRecord(program);
  const layouts = packedWeights(program);
  for (const { name, kind, dtype, shape, ...value } of program.values) {
    const filling = fillings[name];
    if (kind === "weight") {
      const layout = layouts.has(name) ? "packed" as const : "plain" as const;
      const spec = { name, dtype, shape: shape as number[], layout };
      const stored = "dtype" in filling ? filling.dtype : "f32";
      bindings.set(name, await backend.upload(spec, memorySource(stored, fillingBytes(filling))));
    } else if (kind === "step") {
      if (filling instanceof Int32Array) step.ints(name).set(filling);
    } else if (kind === "input" || kind === "state" || kind === "output") {
      const buffer = backend.alloc(valueBytes({ name, kind, dtype, shape, ...value }, program));
      if (filling) backend.write(buffer, 0, fillingBytes(filling));
      bindings.set(name, buffer);
    }
  }
  const executable = await backend.compile(program, bindings);
  step.setCounts(wanted.counts.rows, wanted.counts.outputs);
  return {
    case: wanted,
    run: () => runStep(backend, executable, step, bindings.get("y") as Buffer),
    dispose() {
      executable[Symbol.dispose]();
      for (const bound of bindings.values()) {
        if ("spec" in bound) backend.freeWeight(bound);
        else backend.free(bound);
      }
    },
  };
}

const word = new Uint8Array(4);

async function runStep(backend: Backend, executable: Executable, step: StepRecord, y: Buffer): Promise<void> {
  executable.run(step);
  await backend.read(y, 0, word);
}
