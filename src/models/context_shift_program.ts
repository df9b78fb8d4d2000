/**
 * The Program that moves cached tokens to other positions, after those before them have left the context.
 *
 * A key that was turned by the angle p·f is turned by d·f more, which is where position p + d would have put it. That
 * holds for every kind of scaling here, because frequencies are fixed when a model is loaded (see `RopeScaling`). A factor
 * of the cosines and sines, as YaRN has it, is in the keys already.
 *
 * @module
 */
import { type CacheConfig, cacheName, cacheShape, layerRope, PAGE_SIZE } from "../nn/decoder.ts";
import { inverseFrequencies, type RopeConfig } from "../nn/rope.ts";
import type { Program } from "../program/program.ts";
import { Recorder, type Ref } from "../program/recorder.ts";
import type { DecoderConfig } from "./config.ts";

/**
 * Records it for `rows` pages. The caller fills the step fields `pages`, and `shifts`, the positions that the keys of each
 * page move by. Layers without a rotary embedding are left as they are.
 */
export function contextShiftProgram(config: DecoderConfig, cache: CacheConfig, rows: number): Program {
  const g = new Recorder(`${config.architecture}/shift`, { rows, outputs: 0 });
  const [shifts, pages] = ["shifts", "pages"].map((name) => g.step(name, "i32", ["rows"]));
  const tables = new Map<RopeConfig, Ref>();
  const tableOf = (rope: RopeConfig): Ref => {
    const known = tables.get(rope);
    if (known) return known;
    const attrs = { inverseFrequencies: inverseFrequencies(rope, cache.maxPages * PAGE_SIZE) };
    const [table] = g.record("ropeTable", [shifts], attrs);
    tables.set(rope, table);
    return table;
  };
  const shape = cacheShape(config, cache);
  for (let layer = 0; layer < config.layers; layer++) {
    const rope = layerRope(config, layer);
    if (!rope) continue;
    const keys = g.state(cacheName(layer, "keys"), cache.dtype, shape);
    g.record("ropeShift", [tableOf(rope), pages, keys], { interleaved: rope.interleaved });
  }
  return g.finish();
}
