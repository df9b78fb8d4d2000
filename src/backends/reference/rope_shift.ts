/**
 * Turning keys that are in the paged cache.
 *
 * @module
 */
import { InvalidArgumentError } from "../../errors.ts";
import type { Kernel } from "./kernel.ts";
import { checkIndex } from "./rows.ts";

/** Turns the keys of whole pages, each page by its row of the table. */
export const ropeShift: Kernel = (call) => {
  const [table, pages, cache] = [call.input(0), call.input(1).i32, call.input(2)];
  const [count, heads, pageSize] = cache.shape;
  const [read, write] = [cache.rowReader(), cache.rowWriter()];
  const seen = new Set<number>();
  pages.forEach((page, t) => {
    if (page < 0) return;
    checkIndex("ropeShift: the page", page, count);
    if (seen.has(page)) throw new InvalidArgumentError(`ropeShift: page ${page} is given twice`);
    seen.add(page);
    const angles = table.f32.subarray(t * table.width, (t + 1) * table.width);
    for (let key = page * heads * pageSize; key < (page + 1) * heads * pageSize; key++) {
      write(key, turned(read(key), angles, call.flag("interleaved")));
    }
  });
};

/** One key with its pairs turned. */
function turned(from: Float32Array, angles: Float32Array, interleaved: boolean): Float32Array {
  const key = from.slice();
  const n = angles.length / 2;
  const [step, far] = interleaved ? [2, 1] : [1, n];
  for (let i = 0; i < n; i++) {
    const [a, b] = [key[i * step], key[i * step + far]];
    key[i * step] = a * angles[i] - b * angles[n + i];
    key[i * step + far] = b * angles[i] + a * angles[n + i];
  }
  return key;
}
