/**
 * Weights of the reference backend: kept in the dtype of the Program, as they stand in a file.
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import { byteLength, type DType } from "../../tensor/dtype.ts";
import { transcode } from "../../tensor/quantize.ts";
import { checkBlocks, elementCount } from "../../tensor/shape.ts";
import type { WeightHandle, WeightSource, WeightSpec } from "../backend.ts";
import { HostTensor } from "./host_tensor.ts";

/** How many elements are read at a time: whole blocks of every dtype. */
const CHUNK_ELEMENTS = 1 << 18;

/** A weight in host memory. */
export class ReferenceWeight implements WeightHandle {
  /** The spec it was uploaded with. */
  readonly spec: WeightSpec;
  /** Its elements. */
  readonly tensor: HostTensor;
  /** Bytes that it takes. */
  readonly bytes: number;

  /** A weight over its bytes. */
  constructor(spec: WeightSpec, bytes: Uint8Array<ArrayBuffer>) {
    this.spec = spec;
    this.tensor = new HostTensor(storedDType(spec), spec.shape, bytes);
    this.bytes = bytes.length;
  }
}

/** The dtype in which a weight is kept: its own where it is packed, F32 where it is plain. */
export function storedDType(spec: WeightSpec): DType {
  return spec.layout === "plain" ? "f32" : spec.dtype;
}

/** Bytes that a weight takes. */
export function weightBytes(spec: WeightSpec): number {
  return byteLength(storedDType(spec), elementCount(spec.shape));
}

/** Reads a weight into `into`, whose dtype may differ from that of the source. */
export async function readWeight(
  spec: WeightSpec,
  source: WeightSource,
  into: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<ReferenceWeight> {
  const count = elementCount(spec.shape);
  checkBlocks(source.dtype, spec.shape);
  checkBlocks(storedDType(spec), spec.shape);
  const stored = storedDType(spec);
  if (source.byteLength !== byteLength(source.dtype, count)) {
    throw new ShapeError(
      `weight ${spec.name}: ${source.dtype}[${spec.shape}] takes ${byteLength(source.dtype, count)} bytes, ` +
        `and the source has ${source.byteLength}`,
    );
  }
  for (let first = 0; first < count; first += CHUNK_ELEMENTS) {
    signal?.throwIfAborted();
    const elements = Math.min(CHUNK_ELEMENTS, count - first);
    const offset = byteLength(source.dtype, first);
    const bytes = await source.read(offset, byteLength(source.dtype, elements));
    into.set(convert(bytes, source.dtype, stored, elements), byteLength(stored, first));
  }
  return new ReferenceWeight(spec, into);
}

function convert(bytes: Uint8Array, from: DType, to: DType, elements: number): Uint8Array {
  return transcode(from, to, bytes.subarray(0, byteLength(from, elements)));
}
