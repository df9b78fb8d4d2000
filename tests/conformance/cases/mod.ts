/** Every op case, by family. @module */
import type { CaseFamilies } from "../case.ts";
import { attentionCases } from "./attention.ts";
import { elementwiseCases } from "./elementwise.ts";
import { expertCases } from "./experts.ts";
import { layerCases } from "./layer.ts";
import { linearCases, matmulCases } from "./matmul.ts";
import { normCases } from "./norms.ts";
import { quantCases } from "./quants.ts";
import { reductionCases } from "./reductions.ts";
import { ropeCases } from "./rope.ts";
import { rowCases } from "./rows.ts";

/** The whole suite. */
export const CASE_FAMILIES: CaseFamilies = {
  elementwise: elementwiseCases,
  reductions: reductionCases,
  norms: normCases,
  matmul: matmulCases,
  linear: linearCases,
  experts: expertCases,
  rows: rowCases,
  quants: quantCases,
  rope: ropeCases,
  attention: attentionCases,
  layers: layerCases,
};
