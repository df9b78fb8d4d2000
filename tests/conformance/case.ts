/**
 * An op case: a small Program, its data, and how near a backend must come to the reference.
 *
 * @module
 */
import type { Backend } from "../../src/backends/backend.ts";
import type { Capacity } from "../../src/program/program.ts";
import { Recorder } from "../../src/program/recorder.ts";
import { dequantize } from "../../src/tensor/quantize.ts";
import { DTYPES } from "../../src/tensor/dtype.ts";
import { type Fillings, type Packed, Rig } from "../support/rig.ts";

/** One case of the suite. */
export interface OpCase {
  /** What is special about it; with the op, unique. */
  readonly name: string;
  /** Bounds of the step counts. */
  readonly capacity?: Capacity;
  /** Counts of the step; by default the capacity. */
  readonly counts?: Capacity;
  /** Records the Program. */
  record(g: Recorder): void;
  /** Data by value name. */
  readonly fillings: Fillings;
  /** Largest difference, relative to the largest expected magnitude (but at least to 1); by default 1e-5. */
  readonly tolerance?: number;
  /** Weights are quantized, so that backends may quantize the activations too. */
  readonly quantized?: boolean;
  /** Backends that hold a weight in another dtype, so that its values are only near. */
  readonly transcodedOn?: readonly string[];
  /** Normalised mean square error allowed for either; by default {@linkcode QUANTIZED_NMSE}. */
  readonly nmse?: number;
}

/** Cases by family. */
export type CaseFamilies = Readonly<Record<string, readonly OpCase[]>>;

const NO_STEP: Capacity = { rows: 0, outputs: 0 };

/** Default of `OpCase.tolerance`. */
export const DEFAULT_TOLERANCE = 1e-5;

/** Normalised mean square error allowed where activations are quantized to 8 bits. */
export const QUANTIZED_NMSE = 2e-4;

/** Backends whose kernels quantize the activations that meet quantized weights. */
const QUANTIZES_ACTIVATIONS: ReadonlySet<string> = new Set(["wasm", "native"]);

/** Runs a case and gives its outputs. */
export async function runCase(backend: Backend, opCase: OpCase): Promise<Map<string, Packed>> {
  const capacity = opCase.capacity ?? NO_STEP;
  const g = new Recorder(opCase.name, capacity);
  opCase.record(g);
  using rig = await Rig.create(backend, g.finish(), opCase.fillings);
  rig.run(opCase.counts ?? capacity);
  return await rig.read();
}

/** Compares with the reference; gives what differs, or nothing. */
export function compare(
  opCase: OpCase,
  backend: Backend,
  expected: ReadonlyMap<string, Packed>,
  actual: ReadonlyMap<string, Packed>,
): string | undefined {
  const quantized = (opCase.quantized && QUANTIZES_ACTIVATIONS.has(backend.name)) ||
    opCase.transcodedOn?.includes(backend.name);
  for (const [name, wanted] of expected) {
    const got = actual.get(name);
    if (!got) return `${name} is missing`;
    const fault = wanted.dtype === "i32"
      ? differsExactly(wanted.bytes, got.bytes)
      : quantized
      ? differsByNmse(decode(wanted), decode(got), opCase.nmse ?? QUANTIZED_NMSE)
      : differsByMaximum(decode(wanted), decode(got), opCase.tolerance ?? DEFAULT_TOLERANCE);
    if (fault) return `${name}: ${fault}`;
  }
}

/** The elements of a result as F32. */
export function decode({ dtype, bytes }: Packed): Float32Array {
  const elements = (bytes.length / DTYPES[dtype].blockBytes) * DTYPES[dtype].blockSize;
  return dequantize(dtype, bytes, new Float32Array(elements));
}

function differsExactly(expected: Uint8Array, actual: Uint8Array): string | undefined {
  const at = expected.findIndex((byte, i) => byte !== actual[i]);
  if (at >= 0) return `element ${at >> 2} differs`;
}

function differsByMaximum(
  expected: Float32Array,
  actual: Float32Array,
  tolerance: number,
): string | undefined {
  const finite = expected.filter(Number.isFinite);
  const limit = tolerance * finite.reduce((peak, x) => Math.max(peak, Math.abs(x)), 1);
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(expected[i], actual[i])) continue;
    const difference = Math.abs(expected[i] - actual[i]);
    if (!(difference <= limit)) {
      return `element ${i} of ${expected.length} is ${actual[i]} and should be ${expected[i]} ± ${limit}`;
    }
  }
}

function differsByNmse(
  expected: Float32Array,
  actual: Float32Array,
  limit: number,
): string | undefined {
  let [error, power] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (expected[i] - actual[i]) ** 2;
    power += expected[i] ** 2;
  }
  const nmse = error / (power || 1);
  if (!(nmse <= limit)) {
    return `the normalised mean square error is ${nmse}, more than ${limit}`;
  }
}
