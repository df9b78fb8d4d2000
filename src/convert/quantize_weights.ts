/**
 * Weights that are quantized while they load.
 *
 * @module
 */
import { isQuantized } from "../tensor/dtype.ts";
import type { LocatedWeight } from "../weights.ts";
import type { QuantKind } from "./quant_kinds.ts";
import { checkKind, chooseDType } from "./quantize_plan.ts";

/**
 * The weights with the dtypes that they get on the way to the backend, by the same rules as in a converted file.
 *
 * @throws {DTypeError} for what is not a kind.
 */
export function quantizeWeights(
  located: readonly LocatedWeight[],
  kind: QuantKind,
  tiedHead: boolean,
): LocatedWeight[] {
  checkKind(kind);
  return located.map((weight) => {
    const { spec } = weight;
    if (spec.layout !== "packed" || isQuantized(spec.dtype)) return weight;
    const choice = chooseDType({ weight: spec.name, shape: spec.shape }, kind, tiedHead);
    return choice ? { ...weight, spec: { ...spec, dtype: choice.dtype } } : weight;
  });
}
