/**
 * How packed weights lie in device memory, as `shaders/lib/packed_weight.wgsl` reads them.
 *
 * Plain dtypes are as in files, two 16-bit elements to a word. Quantized blocks are taken apart, because a shader reads
 * whole words: first the quants of all blocks (for 5 bits the word of fifth bits behind them), then the F16 scales of
 * all blocks, with the minimum beside its scale where there is one.
 *
 * @module
 */
import { byteLength, type DType, DTYPES } from "../../tensor/dtype.ts";
import { TRANSCODED, TRANSCODED_K } from "../../tensor/quant/transcode.ts";
import { elementCount } from "../../tensor/shape.ts";
import type { WeightHandle, WeightSpec } from "../backend.ts";

/** Layout of a weight on the device. */
export interface PackedLayout {
  /** Code of the dtype that the shader widens. */
  readonly format: number;
  /** Word at which the scales start; 0 for plain dtypes. */
  readonly scalesAt: number;
  /** Length in bytes. */
  readonly bytes: number;
}

/** Parts of a block as GGUF orders them, in bytes: scale (and minimum), fifth bits, quants. */
interface BlockParts {
  readonly scale: number;
  readonly fifth: number;
  readonly quants: number;
}

const PLAIN: readonly DType[] = ["f32", "f16", "bf16"];

const BLOCKS: Partial<Record<DType, BlockParts>> = {
  q8_0: { scale: 2, fifth: 0, quants: 32 },
  q4_0: { scale: 2, fifth: 0, quants: 16 },
  q4_1: { scale: 4, fifth: 0, quants: 16 },
  q5_0: { scale: 2, fifth: 4, quants: 16 },
  q5_1: { scale: 4, fifth: 4, quants: 16 },
};

/** Whether `linear` and `embed` can read weights of this dtype. */
export function isPackable(dtype: DType): boolean {
  return PLAIN.includes(dtype) || dtype in BLOCKS || dtype in TRANSCODED || dtype in TRANSCODED_K;
}

/** Dtype in which a weight is held: a plain one is F32, a packed one what the shaders have a case for. */
export function heldDType(spec: Pick<WeightSpec, "dtype" | "layout">): DType {
  if (spec.layout === "plain") return spec.dtype === "i32" ? "i32" : "f32";
  return TRANSCODED[spec.dtype] ?? TRANSCODED_K[spec.dtype] ?? spec.dtype;
}

/** Layout of so many elements. */
export function packedLayout(dtype: DType, elements: number): PackedLayout {
  const parts = BLOCKS[dtype];
  const format = DTYPES[dtype].code;
  if (!parts) return { format, scalesAt: 0, bytes: byteLength(dtype, elements) };
  const blocks = Math.ceil(elements / DTYPES[dtype].blockSize);
  const quantBytes = blocks * (parts.quants + parts.fifth);
  return { format, scalesAt: quantBytes / 4, bytes: quantBytes + blocks * parts.scale };
}

/** Layout of a weight. */
export function weightLayout(spec: WeightSpec): PackedLayout {
  return packedLayout(heldDType(spec), elementCount(spec.shape));
}

/** Takes blocks apart: their quants, and their scales. */
export function splitBlocks(dtype: DType, bytes: Uint8Array): { quants: Uint8Array; scales: Uint8Array } {
  const { scale, fifth, quants: width } = BLOCKS[dtype] ?? { scale: 0, fifth: 0, quants: 1 };
  const blockBytes = scale + fifth + width;
  const blocks = bytes.length / blockBytes;
  const quants = new Uint8Array(blocks * (width + fifth));
  const scales = new Uint8Array(blocks * scale);
  for (let i = 0; i < blocks; i++) {
    const block = bytes.subarray(i * blockBytes, (i + 1) * blockBytes);
    scales.set(block.subarray(0, scale), i * scale);
    quants.set(block.subarray(scale + fifth), i * (width + fifth));
    quants.set(block.subarray(scale, scale + fifth), i * (width + fifth) + width);
  }
  return { quants, scales };
}

/** A weight on the device. */
export class WebGpuWeight implements WeightHandle {
  /** The spec it was uploaded with. */
  readonly spec: WeightSpec;
  /** Where its parts are. */
  readonly layout: PackedLayout;
  /** The memory. */
  readonly gpu: GPUBuffer;

  /** Wraps device memory. */
  constructor(spec: WeightSpec, layout: PackedLayout, gpu: GPUBuffer) {
    this.spec = spec;
    this.layout = layout;
    this.gpu = gpu;
  }

  /** Bytes that it takes on the device. */
  get bytes(): number {
    return this.gpu.size;
  }
}
