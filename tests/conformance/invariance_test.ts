/** The same row gives the same bits whatever else is in the batch, and however a prompt is cut into steps. @module */
import type { Backend } from "../../src/backends/backend.ts";
import { type CacheDType, cacheShape } from "../../src/nn/decoder.ts";
import { Recorder } from "../../src/program/recorder.ts";
import { type DType, DTYPES, wholeBlocks } from "../../src/tensor/dtype.ts";
import { assert, assertEquals } from "@std/assert";
import { testOnBackends } from "../support/backends.ts";
import { integers, normal, packed, permutation } from "../support/random.ts";
import { Rig } from "../support/rig.ts";
import { LAYER, LAYER_ROWS, layerStep, layerWeights, recordLayers } from "./cases/layer.ts";
import { LINEAR_DTYPES, OPTIONAL_DTYPES } from "./cases/matmul.ts";
import { QUANT_DTYPES } from "./cases/quants.ts";

const ROWS = 33;

/** Ways to cut 33 rows into steps. */
const CUTS: readonly (readonly number[])[] = [
  Array(ROWS).fill(1),
  [33],
  [8, 8, 8, 8, 1],
  [2, 3, 5, 7, 16],
  [32, 1],
];

/** Capacities that are compiled for a step of this many rows. */
const capacityFor = (rows: number): number => [1, 8, 64].find((capacity) => capacity >= rows) ?? rows;

/** Runs `cut` after `cut` and joins what the steps give for the rows. */
async function inSteps(
  cut: readonly number[],
  run: (first: number, count: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let first = 0;
  for (const count of cut) {
    parts.push((await run(first, count)).slice());
    first += count;
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

async function linearBits(backend: Backend, dtype: DType, cut: readonly number[]): Promise<Uint8Array> {
  // Whole blocks of every dtype.
  const [k, n] = [DTYPES[dtype].blockSize > 32 ? 512 : 96, 83];
  const x = normal(ROWS * k, 1);
  const rigs = new Map<number, Rig>();
  for (const capacity of new Set(cut.map(capacityFor))) {
    const g = new Recorder("linear", { rows: capacity, outputs: 0 });
    g.output("y", g.linear(g.input("x", "f32", ["rows", k]), g.weight("w", dtype, [n, k])));
    rigs.set(capacity, await Rig.create(backend, g.finish(), { w: packed(dtype, n * k, 2) }));
  }
  const bits = await inSteps(cut, async (first, count) => {
    const rig = rigs.get(capacityFor(count)) as Rig;
    rig.fill({ x: x.subarray(first * k, (first + count) * k) });
    rig.run({ rows: count, outputs: 0 });
    return (await rig.read()).get("y")?.bytes ?? new Uint8Array();
  });
  for (const rig of rigs.values()) rig[Symbol.dispose]();
  return bits;
}

/** Rows by two of seven experts each; which rows share an expert differs from cut to cut. */
async function expertBits(backend: Backend, dtype: DType, cut: readonly number[]): Promise<Uint8Array> {
  const [k, n, used, experts] = [DTYPES[dtype].blockSize > 32 ? 256 : 96, 40, 2, 7];
  const x = normal(ROWS * k, 1);
  const ids = integers(ROWS * used, experts, 5);
  const g = new Recorder("experts", { rows: ROWS, outputs: 0 });
  const w = g.weight("w", dtype, [experts * n, k]);
  const products = g.matmulExperts(
    g.input("x", "f32", ["rows", k]),
    w,
    g.step("ids", "i32", ["rows", used]),
    experts,
  );
  g.output("y", products);
  using rig = await Rig.create(backend, g.finish(), { w: packed(dtype, experts * n * k, 2) });
  return await inSteps(cut, async (first, count) => {
    rig.fill({
      x: x.subarray(first * k, (first + count) * k),
      ids: ids.subarray(first * used, (first + count) * used),
    });
    rig.run({ rows: count, outputs: 0 });
    return (await rig.read()).get("y")?.bytes ?? new Uint8Array();
  });
}

/** Two layers over two sequences: the caches that one step leaves are what the next one reads. */
async function layerBits(
  backend: Backend,
  dtype: DType,
  kv: CacheDType,
  cut: readonly number[],
): Promise<Uint8Array> {
  const g = new Recorder("layers", { rows: 64, outputs: 64 });
  recordLayers(g, dtype, kv);
  using rig = await Rig.create(backend, g.finish(), layerWeights(dtype));
  return await inSteps(cut, async (first, count) => {
    const rows = LAYER_ROWS.slice(first, first + count);
    rig.fill(layerStep(rows, rows.map((_, i) => i)));
    rig.run({ rows: count, outputs: count });
    return (await rig.read(["logits"])).get("logits")?.bytes ?? new Uint8Array();
  });
}

/** Keys that each row sees: around the places where kernels cut them into parts. */
const LENGTHS = [1, 31, 32, 33, 255, 256, 257, 511, 512, 513, 700, 1025, 64, 40, 2, 1024];

const CACHES: readonly CacheDType[] = ["f32", "f16", "q16", "q8_0"];

/** Whether a backend has caches of the type. */
const hasCache = (backend: Backend, kv: CacheDType): boolean =>
  backend.supports("writeKv", ["f32", "f32", "i32", kv, kv]);

/** Width of a head of {@linkcode attentionBits}: whole blocks. */
const attentionWidth = (kv: CacheDType): number => wholeBlocks(kv, 32);

/** Attention of queries, the outputs of each step, over a long cache that the first step fills. */
async function attentionBits(
  backend: Backend,
  kv: CacheDType,
  biased: boolean,
  cut: readonly number[],
): Promise<Uint8Array> {
  const [heads, kvHeads, headDim, pageSize, maxPages] = [6, 2, attentionWidth(kv), 32, 33];
  const [width, keyWidth, tokens] = [heads * headDim, kvHeads * headDim, maxPages * pageSize];
  const pageTable = permutation(maxPages, 4);
  const g = new Recorder("attention", { rows: tokens, outputs: LENGTHS.length });
  const shape = cacheShape({ kvHeads, headDim }, { pages: maxPages, dtype: kv });
  const caches = ["keys", "values"].map((name) => g.state(name, kv, shape));
  const [k, v] = ["k", "v"].map((name) => g.input(name, "f32", ["rows", keyWidth]));
  g.record("writeKv", [k, v, g.step("slots", "i32", ["rows"]), ...caches]);
  const perRow = ["lengths", "sequences"].map((name) => g.step(name, "i32", ["outputs"]));
  const inputs = [
    g.input("q", "f32", ["outputs", width]),
    ...caches,
    ...perRow,
    g.step("pageTable", "i32", [1, maxPages]),
    undefined,
    biased ? g.constant("bias", normal(201 * heads, 6), [201, heads]) : undefined,
  ];
  g.output("y", g.record("pagedAttention", inputs, { heads, scale: headDim ** -0.5 })[0]);
  const slots = Int32Array.from(
    { length: tokens },
    (_, i) => pageTable[Math.floor(i / pageSize)] * pageSize + (i % pageSize),
  );
  const fillings = { k: normal(tokens * keyWidth, 2), v: normal(tokens * keyWidth, 3), slots, pageTable };
  using rig = await Rig.create(backend, g.finish(), fillings);
  rig.run({ rows: tokens, outputs: 0 });
  const queries = normal(LENGTHS.length * width, 1);
  return await inSteps(cut, async (first, count) => {
    rig.fill({
      q: queries.subarray(first * width, (first + count) * width),
      lengths: Int32Array.from(LENGTHS.slice(first, first + count)),
    });
    rig.run({ rows: 0, outputs: count });
    return (await rig.read()).get("y")?.bytes ?? new Uint8Array();
  });
}

/** Where two bit strings differ first: row and column. */
function firstDifference(a: Uint8Array, b: Uint8Array, columns: number): string {
  const at = Math.floor(a.findIndex((byte, i) => byte !== b[i]) / 4);
  return `row ${Math.floor(at / columns)}, column ${at % columns}`;
}

function assertSameBits(actual: Uint8Array, expected: Uint8Array, columns: number, what: string): void {
  assertEquals(actual.length, expected.length, what);
  const same = actual.every((byte, i) => byte === expected[i]);
  assert(same, same ? what : `${what}: ${firstDifference(actual, expected, columns)} differs`);
}

await testOnBackends("bits of a row do not depend on the batch", async (backend, t) => {
  for (const dtype of [...LINEAR_DTYPES, ...OPTIONAL_DTYPES, ...QUANT_DTYPES]) {
    if (!backend.supports("linear", ["f32", dtype])) continue;
    await t.step(`linear ${dtype}`, async () => {
      const expected = await linearBits(backend, dtype, CUTS[0]);
      for (const cut of CUTS.slice(1)) {
        assertSameBits(await linearBits(backend, dtype, cut), expected, 83, `steps of ${cut}`);
      }
    });
  }
  for (const dtype of ["f32", "f16", "q8_0", "q4_0", "q4_1", "q4_k", "q6_k"] as const) {
    if (!backend.supports("matmulExperts", ["f32", dtype, "i32"])) continue;
    await t.step(`experts ${dtype}`, async () => {
      const expected = await expertBits(backend, dtype, CUTS[0]);
      for (const cut of CUTS.slice(1)) {
        assertSameBits(await expertBits(backend, dtype, cut), expected, 80, `steps of ${cut}`);
      }
    });
  }
  for (const [kv, biased] of CACHES.flatMap((kv) => [[kv, false], [kv, true]] as const)) {
    if (!hasCache(backend, kv)) continue;
    if (biased && backend.name === "webgpu") continue; // It refuses a relative bias
    await t.step(`attention over a long ${kv} cache${biased ? ", relative bias" : ""}`, async () => {
      const expected = await attentionBits(backend, kv, biased, LENGTHS.map(() => 1));
      for (const cut of [[16], [5, 5, 6], [1, 2, 13]]) {
        const actual = await attentionBits(backend, kv, biased, cut);
        assertSameBits(actual, expected, 6 * attentionWidth(kv), `steps of ${cut}`);
      }
    });
  }
  const whole = [
    ["f32", "f32"],
    ["bf16", "f16"],
    ["q8_0", "f16"],
    ["q4_0", "f32"],
    ["q4_1", "q16"],
    ["q8_0", "q8_0"],
  ] as const;
  for (const [dtype, kv] of whole) {
    if (!hasCache(backend, kv)) continue;
    await t.step(`layers ${dtype}, ${kv} cache`, async () => {
      const expected = await layerBits(backend, dtype, kv, CUTS[0]);
      for (const cut of CUTS.slice(1)) {
        const actual = await layerBits(backend, dtype, kv, cut);
        assertSameBits(actual, expected, LAYER.vocabulary, `steps of ${cut}`);
      }
    });
  }
});
