/**
 * Making op cases with little writing.
 *
 * @module
 */
import type { OpName } from "../../../src/program/ops.ts";
import { type Attrs, capacityElements, type Dim } from "../../../src/program/program.ts";
import type { Recorder, Ref } from "../../../src/program/recorder.ts";
import { normal } from "../../support/random.ts";
import type { Filling } from "../../support/rig.ts";
import type { OpCase } from "../case.ts";

/** A step below its capacity: what most step cases use. */
export const PARTIAL_STEP = { capacity: { rows: 8, outputs: 3 }, counts: { rows: 5, outputs: 2 } };

/** Shapes of F32 inputs by name. */
export type InputShapes = Readonly<Record<string, readonly Dim[]>>;

/** A case over random F32 inputs; `apply` records the op. */
export function overInputs(
  name: string,
  shapes: InputShapes,
  apply: (g: Recorder, inputs: Ref[]) => Ref | Ref[],
  more: Partial<OpCase> = {},
): OpCase {
  const capacity = more.capacity ?? { rows: 0, outputs: 0 };
  const fillings: Record<string, Filling> = {};
  Object.entries(shapes).forEach(([input, shape], i) => {
    fillings[input] = normal(capacityElements(shape, capacity), 100 + i);
  });
  return {
    name,
    record(g) {
      const inputs = Object.entries(shapes).map(([input, shape]) => g.input(input, "f32", shape));
      [apply(g, inputs)].flat().forEach((ref, i) => g.output(`y${i}`, ref));
    },
    ...more,
    fillings: { ...fillings, ...more.fillings },
  };
}

/** A case of one op by name over random F32 inputs. */
export function ofOp(
  op: OpName,
  name: string,
  shapes: InputShapes,
  attrs: Attrs = {},
  more: Partial<OpCase> = {},
): OpCase {
  return overInputs(`${op} ${name}`, shapes, (g, inputs) => g.record(op, inputs, attrs), more);
}
