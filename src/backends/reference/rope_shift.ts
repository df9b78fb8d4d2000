/**
 * Turning keys that are in the paged cache.
 *
 * @module
 */
import { InvalidArgumentError } from "../../errors.ts";
import { f16ToF32, f32ToF16 } from "../../tensor/float16.ts";
import type { HostTensor } from "./host_tensor.ts";
import type { Kernel } from "./kernel.ts";
import { checkIndex } from "./rows.ts";

/** Turns the keys of whole pages, each page by its row of the table. */
export const ropeShift: Kernel = (call) => {
  const [table, pages, cache] = [call.input(0), call.input(1).i32, call.input(2)];
  const [count, heads, pageSize, headDim] = cache.shape;
  const seen = new Set<number>();
  pages.forEach((page, t) => {
    if (page < 0) return;
    checkIndex("ropeShift: the page", page, count);
    if (seen.has(page)) throw new InvalidArgumentError(`ropeShift: page ${page} is given twice`);
    seen.add(page);
    const angles = table.f32.subarray(t * table.width, (t + 1) * table.width);
    for (let key = page * heads * pageSize; key < (page + 1) * heads * pageSize; key++) {
      turn(cache, key * headDim, headDim, angles, call.flag("interleaved"));
    }
  });
};

/** Turns the pairs of one key. */
function turn(
  cache: HostTensor,
  at: number,
  width: number,
  angles: Float32Array,
  interleaved: boolean,
): void {
  const half = cache.dtype === "f16" ? cache.f16.subarray(at, at + width) : undefined;
  const key = half ? f16ToF32(half, new Float32Array(width)) : cache.f32.subarray(at, at + width);
  const n = angles.length / 2;
  const [step, far] = interleaved ? [2, 1] : [1, n];
  for (let i = 0; i < n; i++) {
    const [a, b] = [key[i * step], key[i * step + far]];
    key[i * step] = a * angles[i] - b * angles[n + i];
    key[i * step + far] = b * angles[i] + a * angles[n + i];
  }
  if (half) f32ToF16(key, half);
}
