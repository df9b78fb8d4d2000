/**
 * Writing keys and values into the paged cache.
 *
 * @module
 */
import { f32ToF16 } from "../../tensor/float16.ts";
import type { HostTensor } from "./host_tensor.ts";
import type { Kernel } from "./kernel.ts";
import { checkIndex } from "./rows.ts";

/** Writes rows of keys and values to their slots; a negative slot writes nothing. */
export const writeKv: Kernel = (call) => {
  const slots = call.input(2).i32;
  scatter(call.input(0), slots, call.input(3));
  scatter(call.input(1), slots, call.input(4));
};

/** A cache is [pages, heads, pageSize, headDim], so the heads of one slot stand pageSize·headDim apart. */
function scatter(rows: HostTensor, slots: Int32Array, cache: HostTensor): void {
  const [pages, heads, pageSize, headDim] = cache.shape;
  const from = rows.f32;
  for (let t = 0; t < slots.length; t++) {
    if (slots[t] < 0) continue;
    const slot = checkIndex("writeKv: the slot", slots[t], pages * pageSize);
    const [page, place] = [Math.floor(slot / pageSize), slot % pageSize];
    for (let h = 0; h < heads; h++) {
      const vector = from.subarray((t * heads + h) * headDim, (t * heads + h + 1) * headDim);
      const at = ((page * heads + h) * pageSize + place) * headDim;
      if (cache.dtype === "f16") f32ToF16(vector, cache.f16.subarray(at, at + headDim));
      else cache.f32.set(vector, at);
    }
  }
}
