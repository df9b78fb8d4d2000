/**
 * Which dtype each tensor gets when a model is quantized.
 *
 * @module
 */
import { DTypeError } from "../errors.ts";
import { type DType, DTYPES } from "../tensor/dtype.ts";
import { QUANT_KINDS, type QuantKind } from "./quant_kinds.ts";

/** What is taken where the rows of a weight are no whole blocks, as llama.cpp does. */
const SMALLER_BLOCKS: Readonly<Partial<Record<QuantKind, QuantKind>>> = {
  q4_k: "q5_0",
  q5_k: "q5_1",
  q6_k: "q8_0",
  q8_0: "f16",
  q4_0: "f16",
  q4_1: "f16",
  q5_0: "f16",
  q5_1: "f16",
};

/** Every logit depends on the head, so it keeps more bits than the kinds below get. */
const HEAD_KINDS: Readonly<Partial<Record<QuantKind, QuantKind>>> = {
  q4_0: "q6_k",
  q4_1: "q6_k",
  q5_0: "q6_k",
  q5_1: "q6_k",
  q4_k: "q6_k",
  q5_k: "q6_k",
};

/** Small matrices that decide much: they are never quantized. */
export function isKept(weight: string | undefined): boolean {
  return weight !== undefined && /(^|\.)(positions|tokenTypes|relativeBias|router)\.weight$/.test(weight);
}

/** A weight that may be quantized. */
export interface Candidate {
  /** Its name in Programs; absent where the tensor is no weight that is known. */
  readonly weight?: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
}

/** The dtype that a weight gets. */
export interface Choice {
  /** The dtype. */
  readonly dtype: DType;
  /** Its rows are whole blocks of what was wanted for it. */
  readonly fits: boolean;
}

/**
 * The dtype for a weight of a model that is converted to `kind`: matrices get it, or the next that their rows fit;
 * everything else stays, and gives nothing. `tiedHead`: the embedding is the head, too.
 */
export function chooseDType(
  { weight, shape }: Candidate,
  kind: QuantKind,
  tiedHead: boolean,
): Choice | undefined {
  if (shape.length < 2 || isKept(weight)) return undefined;
  const isHead = weight === "head.weight" || (tiedHead && weight === "embedding.weight");
  const columns = shape[shape.length - 1];
  const wanted = (isHead && HEAD_KINDS[kind]) || kind;
  for (let next: QuantKind | undefined = wanted; next; next = SMALLER_BLOCKS[next]) {
    if (columns % DTYPES[next].blockSize === 0) {
      // The head has more bits than were asked for, whichever of the two it gets.
      return { dtype: next, fits: next === wanted || (wanted !== kind && next === "q8_0") };
    }
  }
  throw new DTypeError(`no dtype for rows of ${columns} elements is like ${kind}; convert to f16`);
}

/** Throws a `DTypeError` for what is not a kind. */
export function checkKind(kind: string): asserts kind is QuantKind {
  if (QUANT_KINDS.some((known) => known === kind)) return;
  throw new DTypeError(`cannot quantize to ${kind}; choose one of ${QUANT_KINDS.join(", ")}`);
}
