/**
 * A Program that walks from ids to ids, for tests of steps that follow each other.
 *
 * @module
 */
import type { Backend, Buffer, Executable } from "../../src/backends/backend.ts";
import { Recorder } from "../../src/program/recorder.ts";
import { StepRecord } from "../../src/program/step.ts";

/** Ids are below this. */
export const IDS = 48;
/** Where an id leads to. */
export const after = (id: number): number => (id * 5 + 7) % IDS;

/** A Program whose rows walk from an id to the next. */
export interface Walk {
  readonly executable: Executable;
  readonly step: StepRecord;
  /** Where each row has gone to, [2]. */
  readonly ids: Buffer;
}

/** Compiles it, with as many as two rows. */
export async function walk(backend: Backend): Promise<Walk> {
  const g = new Recorder("walk", { rows: 2, outputs: 0 });
  const table = g.weight("table", "f32", [IDS, IDS]);
  g.output("ids", g.argmax(g.embed(g.step("from", "i32", ["rows"]), table)));
  const program = g.finish();
  const values = new Float32Array(IDS * IDS);
  for (let id = 0; id < IDS; id++) values[id * IDS + after(id)] = 1;
  const bytes = new Uint8Array(values.buffer);
  const weight = await backend.upload({ name: "table", dtype: "f32", shape: [IDS, IDS], layout: "packed" }, {
    dtype: "f32",
    byteLength: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
  });
  const ids = backend.alloc(8);
  const executable = await backend.compile(
    program,
    new Map<string, typeof weight | Buffer>([["table", weight], ["ids", ids]]),
  );
  return { executable, step: new StepRecord(program), ids };
}

/** Walks from these ids. */
export function run({ executable, step }: Walk, from: readonly number[]): void {
  step.setCounts(from.length, 0);
  step.ints("from").set(from);
  executable.run(step);
}

/** Walks on from where the step before ends. */
export function goOn({ executable, step, ids }: Walk): void {
  step.setCounts(2, 0);
  step.ints("from").fill(-1);
  executable.runFed?.(step, { from: ids, field: "from", words: 2 });
}

/** Where the last step has gone to. */
export async function read(backend: Backend, { ids }: Walk): Promise<number[]> {
  const out = new Int32Array(2);
  await backend.read(ids, 0, new Uint8Array(out.buffer));
  return [...out];
}
