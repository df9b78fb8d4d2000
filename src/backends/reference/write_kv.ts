/**
 * Writing keys and values into the paged cache.
 *
 * @module
 */
import type { HostTensor } from "./host_tensor.ts";
import type { Kernel } from "./kernel.ts";
import { checkIndex } from "./rows.ts";

/** Writes rows of keys and values to their slots; a negative slot writes nothing. */
export const writeKv: Kernel = (call) => {
  const slots = call.input(2).i32;
  scatter(call.input(0), slots, call.input(3));
  scatter(call.input(1), slots, call.input(4));
};

/** A cache is [pages, heads, pageSize, headDim], so the heads of one slot stand pageSize rows apart. */
function scatter(rows: HostTensor, slots: Int32Array, cache: HostTensor): void {
  const [pages, heads, pageSize] = cache.shape;
  const [from, headDim, write] = [rows.f32, rows.width / heads, cache.rowWriter()];
  for (let t = 0; t < slots.length; t++) {
    if (slots[t] < 0) continue;
    const slot = checkIndex("writeKv: the slot", slots[t], pages * pageSize);
    const [page, place] = [Math.floor(slot / pageSize), slot % pageSize];
    for (let h = 0; h < heads; h++) {
      const vector = from.subarray((t * heads + h) * headDim, (t * heads + h + 1) * headDim);
      write((page * heads + h) * pageSize + place, vector);
    }
  }
}
