/**
 * Which dtype each tensor gets when a model is quantized.
 *
 * @module
 */
import { DTypeError } from "../errors.ts";
import { type DType, DTYPES } from "../tensor/dtype.ts";
import { dequantize, quantize } from "../tensor/quantize.ts";
import { QUANT_KINDS, type QuantKind } from "./quant_kinds.ts";

/** What is taken where the rows of a weight are no whole blocks, as llama.cpp does. */
const SMALLER_BLOCKS: Readonly<Partial<Record<QuantKind, QuantKind>>> = {
  q4_k: "q5_0",
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
};

/** Small matrices that decide much: they are never quantized. */
export function isKept(weight: string | undefined): boolean {
  return weight !== undefined && /(^|\.)(positions|router)\.weight$/.test(weight);
}

/** A weight that may be quantized. */
export interface Candidate {
  /** Its name in Programs; absent where the tensor is no weight that is known. */
  readonly weight?: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Its dtype now. */
  readonly dtype: DType;
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
  { weight, shape, dtype }: Candidate,
  kind: QuantKind,
  tiedHead: boolean,
): Choice | undefined {
  if (shape.length < 2 || !READABLE.has(dtype) || isKept(weight)) return undefined;
  const isHead = weight === "head.weight" || (tiedHead && weight === "embedding.weight");
  const columns = shape[shape.length - 1];
  const wanted = (isHead && HEAD_KINDS[kind]) || kind;
  for (let next: QuantKind | undefined = wanted; next; next = SMALLER_BLOCKS[next]) {
    if (available(next) && columns % DTYPES[next as DType].blockSize === 0) {
      // The head has more bits than were asked for, whichever of the two it gets.
      return { dtype: next as DType, fits: next === wanted || (wanted !== kind && next === "q8_0") };
    }
  }
  throw new DTypeError(`no dtype for rows of ${columns} elements is like ${kind}; convert to f16`);
}

/** Throws a `DTypeError` for a kind that this version cannot write. */
export function checkKind(kind: string): asserts kind is QuantKind {
  if (writable().includes(kind as QuantKind)) return;
  throw new DTypeError(`cannot quantize to ${kind}; choose one of ${writable().join(", ")}`);
}

/** The kinds that this version can write. */
export function writable(): QuantKind[] {
  return QUANT_KINDS.filter(available);
}

function available(kind: QuantKind): boolean {
  return WRITABLE.has(kind);
}

/** Dtypes for which a conversion, tried on one block, does not throw. */
function possible(convert: (dtype: DType, info: typeof DTYPES[DType]) => unknown): ReadonlySet<string> {
  const found = (Object.entries(DTYPES) as [DType, typeof DTYPES[DType]][]).filter(([dtype, info]) => {
    try {
      convert(dtype, info);
      return true;
    } catch (error) {
      if (error instanceof DTypeError) return false;
      throw error;
    }
  });
  return new Set(found.map(([dtype]) => dtype));
}

const READABLE = possible((dtype, { blockSize, blockBytes }) =>
  dequantize(dtype, new Uint8Array(blockBytes), new Float32Array(blockSize))
);
const WRITABLE = possible((dtype, { blockSize }) => quantize(dtype, new Float32Array(blockSize)));
