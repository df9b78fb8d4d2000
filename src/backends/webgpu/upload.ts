/**
 * Streams a weight to the device piece by piece, converting and repacking on the way.
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import { byteLength, DTYPES, isQuantized } from "../../tensor/dtype.ts";
import { transcode } from "../../tensor/quantize.ts";
import { checkBlocks, elementCount } from "../../tensor/shape.ts";
import type { WeightSource, WeightSpec } from "../backend.ts";
import { type DeviceMemory, roundUp } from "./memory.ts";
import { heldDType, splitBlocks, WebGpuWeight, weightLayout } from "./weights.ts";

/** Elements of a piece: whole blocks, and an even number of them, so that each piece starts at a whole word. */
const PIECE = 1 << 20;
/** Bytes after which the device is waited for: what it has not yet taken lies in host memory twice. */
const IN_FLIGHT = 64 << 20;

/** Uploads one weight. */
export async function uploadWeight(
  gpu: GPUDevice,
  memory: DeviceMemory,
  spec: WeightSpec,
  source: WeightSource,
  signal?: AbortSignal,
): Promise<WebGpuWeight> {
  const elements = elementCount(spec.shape);
  const dtype = heldDType(spec);
  checkBlocks(dtype, spec.shape);
  if (source.byteLength !== byteLength(source.dtype, elements)) {
    throw new ShapeError(
      `${spec.name}: [${spec.shape}] of ${source.dtype} takes ${
        byteLength(source.dtype, elements)
      } bytes and ` +
        `the source has ${source.byteLength}`,
    );
  }
  const layout = weightLayout(spec);
  const buffer = memory.take(layout.bytes, `weight ${spec.name}`);
  const put = (at: number, bytes: Uint8Array): void => gpu.queue.writeBuffer(buffer, at, wholeWords(bytes));
  try {
    let inFlight = 0;
    for (let start = 0; start < elements; start += PIECE) {
      signal?.throwIfAborted();
      const count = Math.min(PIECE, elements - start);
      const stored = await source.read(
        byteLength(source.dtype, start),
        byteLength(source.dtype, count),
      );
      const bytes = transcode(source.dtype, dtype, stored);
      if (isQuantized(dtype)) {
        const { quants, scales } = splitBlocks(dtype, bytes);
        const block = start / DTYPES[dtype].blockSize;
        put(block * quants.length / (count / DTYPES[dtype].blockSize), quants);
        put(4 * layout.scalesAt + block * scales.length / (count / DTYPES[dtype].blockSize), scales);
      } else put(byteLength(dtype, start), bytes);
      inFlight += bytes.length;
      if (inFlight >= IN_FLIGHT) {
        gpu.queue.submit([]);
        await gpu.queue.onSubmittedWorkDone();
        inFlight = 0;
      }
    }
    return new WebGpuWeight(spec, layout, buffer);
  } catch (error) {
    memory.release(buffer);
    throw error;
  }
}

/** The last piece may end inside a word; buffers are a little longer than what is in them. */
function wholeWords(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length % 4 === 0) return bytes as Uint8Array<ArrayBuffer>;
  const whole = new Uint8Array(roundUp(bytes.length, 4));
  whole.set(bytes);
  return whole;
}
