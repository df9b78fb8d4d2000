/**
 * Finds neighbouring ops that a backend can run as one: linears of one input, an activation and its product, a
 * residual sum and the norm after it.
 *
 * @module
 */
import type { DType } from "../tensor/dtype.ts";
import type { OpSupport } from "./lower.ts";
import { ABSENT, type Op, type Program, storageOf } from "./program.ts";

/** Gives a Program in which what the backend can fuse is fused. The values stay as they are. */
export function fuse(program: Program, backend: OpSupport): Program {
  const uses = countUses(program);
  let ops = [...program.ops];
  for (const pass of [fuseLinears, fuseGates, fuseResiduals]) ops = pass(ops, program, backend, uses);
  return { ...program, ops };
}

type Pass = (ops: Op[], program: Program, backend: OpSupport, uses: ReadonlyMap<number, number>) => Op[];

function countUses(program: Program): Map<number, number> {
  const uses = new Map<number, number>();
  for (const op of program.ops) {
    for (const id of op.inputs) {
      if (id !== ABSENT) uses.set(storageOf(program, id), (uses.get(storageOf(program, id)) ?? 0) + 1);
    }
  }
  return uses;
}

const dtypesOf = (program: Program, ids: readonly number[]): DType[] =>
  ids.filter((id) => id !== ABSENT).map((id) => program.values[id].dtype);

/** Two or three neighbouring `linear`s of one input become a `linearGroup`. */
const fuseLinears: Pass = (ops, program, backend) => {
  const out: Op[] = [];
  for (let i = 0; i < ops.length;) {
    let run = ops[i].name === "linear" ? 1 : 0;
    while (
      run > 0 && run < 3 && ops[i + run]?.name === "linear" && ops[i + run].inputs[0] === ops[i].inputs[0]
    ) run++;
    const group = ops.slice(i, i + Math.max(run, 1));
    const pick = (input: number): number[] => [0, 1, 2].map((k) => group[k]?.inputs[input] ?? ABSENT);
    const inputs = run > 1 ? [group[0].inputs[0], ...pick(1), ...pick(2)] : [];
    if (run > 1 && backend.supports("linearGroup", dtypesOf(program, inputs))) {
      out.push({ name: "linearGroup", inputs, outputs: group.flatMap((op) => op.outputs), attrs: {} });
    } else out.push(...group);
    i += group.length;
  }
  return out;
};

/** `activation(gate)` and the `mul` that alone uses it become `gatedActivation`. */
const fuseGates: Pass = (ops, program, backend, uses) => {
  const out: Op[] = [];
  for (const op of ops) {
    const before = out.at(-1);
    const fits = op.name === "mul" && before?.name === "activation" && uses.get(before.outputs[0]) === 1 &&
      program.values[before.outputs[0]].kind === "temp" && op.inputs.includes(before.outputs[0]);
    const up = fits ? op.inputs[op.inputs[0] === before.outputs[0] ? 1 : 0] : ABSENT;
    const sameShape = fits &&
      [before.inputs[0], up].every((id) =>
        program.values[id].shape.join() === program.values[op.outputs[0]].shape.join()
      );
    if (fits && sameShape && backend.supports("gatedActivation", ["f32", "f32"])) {
      out.pop();
      out.push({
        name: "gatedActivation",
        inputs: [before.inputs[0], up],
        outputs: op.outputs,
        attrs: before.attrs,
      });
    } else out.push(op);
  }
  return out;
};

/** `add` and the `rmsNorm` right after it become `addRmsNorm`. */
const fuseResiduals: Pass = (ops, program, backend) => {
  const out: Op[] = [];
  for (const op of ops) {
    const before = out.at(-1);
    const fits = op.name === "rmsNorm" && before?.name === "add" && op.inputs[0] === before.outputs[0] &&
      before.inputs.every((id) =>
        program.values[id].shape.join() === program.values[op.inputs[0]].shape.join()
      );
    if (fits && backend.supports("addRmsNorm", dtypesOf(program, [...before.inputs, op.inputs[1]]))) {
      out.pop();
      const inputs = [...before.inputs, op.inputs[1]];
      out.push({ name: "addRmsNorm", inputs, outputs: [before.outputs[0], op.outputs[0]], attrs: op.attrs });
    } else out.push(op);
  }
  return out;
};
