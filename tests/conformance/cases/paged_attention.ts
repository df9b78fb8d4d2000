/** Cases of attention over a paged cache, and of writing to it. @module */
import type { Attrs } from "../../../src/program/program.ts";
import type { CacheDType } from "../../../src/nn/decoder.ts";
import { wholeBlocks } from "../../../src/tensor/dtype.ts";
import { normal, permutation } from "../../support/random.ts";
import type { OpCase } from "../case.ts";

/** What a paged case varies. */
interface PagedOptions {
  heads: number;
  kvHeads: number;
  headDim: number;
  pageSize?: number;
  kv?: CacheDType;
  /** Keys that each row sees. */
  lengths?: readonly number[];
  /** Line of the page table that each row reads. */
  sequences?: readonly number[];
  slopes?: boolean;
  /** Farthest distance of a relative bias. */
  farthest?: number;
  /** Where each row stands among the keys. */
  positions?: readonly number[];
  attrs?: Attrs;
}

const LENGTHS = [1, 2, 17, 33, 40, 41];
const SEQUENCES = [0, 2, 1, 0, 2, 2];

/**
 * Queries of three sequences, whose pages lie about the cache in no order. The cache is filled by `writeKv`, because
 * only the backend knows how a page looks inside: the rows of the step are keys, its outputs are queries.
 */
function paged(name: string, options: PagedOptions): OpCase {
  const { heads, kvHeads, headDim, pageSize = 16, kv = "f32", attrs = {} } = options;
  const { lengths = LENGTHS, sequences = SEQUENCES, farthest, positions } = options;
  const maxPages = Math.ceil(Math.max(...lengths) / pageSize) + 1;
  const pages = 3 * maxPages + 1;
  const cacheShape = [pages, kvHeads, pageSize, wholeBlocks(kv, headDim)];
  const pageTable = permutation(pages, 4).subarray(0, 3 * maxPages);
  const longest = [0, 1, 2].map((line) => Math.max(0, ...lengths.filter((_, i) => sequences[i] === line)));
  const slots = longest.flatMap((length, line) =>
    Array.from({ length }, (_, position) => {
      const page = pageTable[line * maxPages + Math.floor(position / pageSize)];
      return page * pageSize + (position % pageSize);
    })
  );
  const capacity = { rows: slots.length + 2, outputs: lengths.length + 3 };
  return {
    name: `pagedAttention ${name}`,
    capacity,
    counts: { rows: slots.length, outputs: lengths.length },
    record(g) {
      const [keys, values] = [g.state("keys", kv, cacheShape), g.state("values", kv, cacheShape)];
      const [k, v] = ["k", "v"].map((input) => g.input(input, "f32", ["rows", kvHeads * headDim]));
      g.record("writeKv", [k, v, g.step("slots", "i32", ["rows"]), keys, values]);
      const inputs = [
        g.input("q", "f32", ["outputs", heads * headDim]),
        keys,
        values,
        g.step("lengths", "i32", ["outputs"]),
        g.step("sequences", "i32", ["outputs"]),
        g.step("pageTable", "i32", [3, maxPages]),
        options.slopes ? g.constant("slopes", normal(heads, 8).map(Math.abs), [heads]) : undefined,
        farthest === undefined ? undefined : g.input("bias", "f32", [2 * farthest + 1, heads]),
        positions && g.step("positions", "i32", ["outputs"]),
      ];
      g.output("y", g.record("pagedAttention", inputs, { heads, scale: headDim ** -0.5, ...attrs })[0]);
    },
    fillings: {
      q: normal(capacity.outputs * heads * headDim, 1),
      k: normal(capacity.rows * kvHeads * headDim, 2),
      v: normal(capacity.rows * kvHeads * headDim, 3),
      slots: Int32Array.from(slots),
      lengths: Int32Array.from(lengths),
      sequences: Int32Array.from(sequences),
      pageTable,
      ...(farthest === undefined ? {} : { bias: normal((2 * farthest + 1) * heads, 9) }),
      ...(positions ? { positions: Int32Array.from(positions) } : {}),
    },
    tolerance: TOLERANCES[kv],
  };
}

/**
 * Backends may round the queries that meet a Q8 cache, and the weights of its values, to 16 bits: by 2^-16 of a query of
 * at most 4, which moves a score of 64 products, divided by 8, by 4e-5 in the mean.
 */
const Q8_TOLERANCE = 2e-4;

/**
 * The same for a Q16 cache: there the unit is 2^-17 of the sum of a query's magnitudes, or of its weights in a tile, so that
 * sums fit in 32 bits. A query of 64 numbers of 1 in the mean is off by 2^-12 at most, which moves such a score by 1.4e-4 in
 * the mean.
 */
const Q16_TOLERANCE = 2e-4;

/** Tolerance by type of cache; the default where there is none. */
const TOLERANCES: Readonly<Partial<Record<CacheDType, number>>> = { q8_0: Q8_TOLERANCE, q16: Q16_TOLERANCE };

const grouped = { heads: 6, kvHeads: 2, headDim: 16 };

const pagedCases = [
  paged("one head", { heads: 1, kvHeads: 1, headDim: 8 }),
  paged("as many KV heads", { heads: 4, kvHeads: 4, headDim: 32 }),
  paged("grouped", grouped),
  paged("one KV head", { heads: 5, kvHeads: 1, headDim: 64 }),
  paged("grouped, heads of 64", { heads: 9, kvHeads: 3, headDim: 64 }),
  paged("heads of 4", { heads: 2, kvHeads: 1, headDim: 4 }),
  paged("heads of 80", { heads: 2, kvHeads: 2, headDim: 80 }),
  paged("heads of 128", { heads: 2, kvHeads: 1, headDim: 128 }),
  paged("F16 cache", { ...grouped, kv: "f16" }),
  paged("F16 cache, heads of 64", { heads: 9, kvHeads: 3, headDim: 64, kv: "f16" }),
  paged("Q8 cache", { ...grouped, kv: "q8_0" }),
  paged("Q8 cache, heads of 64, pages of 32", {
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    pageSize: 32,
    kv: "q8_0",
  }),
  paged("Q8 cache, heads of 80, pages of 64", {
    heads: 2,
    kvHeads: 2,
    headDim: 80,
    pageSize: 64,
    kv: "q8_0",
  }),
  paged("Q8 cache, 8 heads of 128, window, softcap", {
    heads: 8,
    kvHeads: 1,
    headDim: 128,
    kv: "q8_0",
    attrs: { window: 9, softcap: 5 },
  }),
  paged("Q8 cache, heads of 10, slopes", { heads: 4, kvHeads: 2, headDim: 10, kv: "q8_0", slopes: true }),
  paged("Q8 cache, 700 keys", { ...grouped, kv: "q8_0", lengths: [700, 512, 513], sequences: [1, 0, 2] }),
  paged("relative bias, Q8 cache", { ...grouped, kv: "q8_0", farthest: 8 }),
  paged("Q8 cache, a row without keys", { ...grouped, kv: "q8_0", lengths: [3, 0, 5], sequences: [0, 1, 2] }),
  paged("Q16 cache", { ...grouped, kv: "q16" }),
  ...[1, 2, 3, 4, 7].map((group) =>
    paged(`Q16 cache, heads of 64, ${group} for each KV head`, {
      heads: 3 * group,
      kvHeads: 3,
      headDim: 64,
      pageSize: 32,
      kv: "q16",
    })
  ),
  paged("Q16 cache, heads of 64, window", {
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    pageSize: 32,
    kv: "q16",
    attrs: { window: 20 },
  }),
  paged("Q16 cache, heads of 80, pages of 64", {
    heads: 2,
    kvHeads: 2,
    headDim: 80,
    pageSize: 64,
    kv: "q16",
  }),
  paged("Q16 cache, 8 heads of 128, window, softcap", {
    heads: 8,
    kvHeads: 1,
    headDim: 128,
    kv: "q16",
    attrs: { window: 9, softcap: 5 },
  }),
  paged("Q16 cache, heads of 128, slopes, softcap", {
    heads: 4,
    kvHeads: 2,
    headDim: 128,
    pageSize: 32,
    kv: "q16",
    slopes: true,
    attrs: { softcap: 2 },
  }),
  paged("Q16 cache, heads of 10, slopes", { heads: 4, kvHeads: 2, headDim: 10, kv: "q16", slopes: true }),
  paged("Q16 cache, 700 keys", {
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    pageSize: 32,
    kv: "q16",
    lengths: [700, 512, 513, 511, 700],
    sequences: [1, 0, 2, 1, 1],
  }),
  paged("Q16 cache, 700 keys, window 300", {
    heads: 4,
    kvHeads: 1,
    headDim: 64,
    pageSize: 32,
    kv: "q16",
    lengths: [700, 301],
    sequences: [1, 0],
    attrs: { window: 300 },
  }),
  paged("relative bias, Q16 cache", { ...grouped, kv: "q16", farthest: 8 }),
  paged("relative bias, Q16 cache, heads of 64, rows that see keys ahead", {
    heads: 6,
    kvHeads: 6,
    headDim: 64,
    pageSize: 32,
    kv: "q16",
    farthest: 7,
    positions: [0, 1, 3, 32, 20, 40],
  }),
  paged("Q16 cache, a row without keys", {
    heads: 2,
    kvHeads: 1,
    headDim: 64,
    kv: "q16",
    lengths: [3, 0, 5],
    sequences: [0, 1, 2],
  }),
  paged("pages of 4", { ...grouped, pageSize: 4 }),
  paged("pages of 32", { ...grouped, pageSize: 32 }),
  paged("window 1", { ...grouped, attrs: { window: 1 } }),
  paged("window 5", { ...grouped, attrs: { window: 5 } }),
  paged("window 20", { ...grouped, attrs: { window: 20 } }),
  paged("softcap", { ...grouped, attrs: { softcap: 1.5 } }),
  paged("softcap and window", { ...grouped, attrs: { softcap: 5, window: 7 } }),
  paged("slopes", { ...grouped, slopes: true }),
  paged("slopes and softcap", { ...grouped, slopes: true, attrs: { softcap: 2 } }),
  paged("slopes, F16 cache, window", { ...grouped, slopes: true, kv: "f16", attrs: { window: 9 } }),
  { ...paged("large scores", { ...grouped, attrs: { scale: 20 } }), tolerance: 1e-3 },
  paged("700 keys", { ...grouped, lengths: [700, 512, 513, 511], sequences: [1, 0, 2, 1] }),
  paged("700 keys, window 300", {
    ...grouped,
    kv: "f16",
    lengths: [700, 301],
    sequences: [1, 0],
    attrs: { window: 300 },
  }),
  paged("heads of 10", { heads: 4, kvHeads: 2, headDim: 10 }),
  paged("heads of 6, F16 cache, window, softcap", {
    heads: 2,
    kvHeads: 1,
    headDim: 6,
    kv: "f16",
    attrs: { window: 9, softcap: 3 },
  }),
  paged("heads of 5, F32 cache", { heads: 2, kvHeads: 2, headDim: 5, slopes: true }),
  paged("relative bias", { ...grouped, farthest: 8 }),
  paged("relative bias of one distance", { ...grouped, farthest: 0 }),
  paged("relative bias beyond all keys, F16 cache", { ...grouped, kv: "f16", farthest: 64 }),
  paged("relative bias, rows that see keys ahead", {
    ...grouped,
    farthest: 7,
    positions: [0, 1, 3, 32, 20, 40],
  }),
  paged("relative bias, slopes, softcap, window", {
    ...grouped,
    farthest: 5,
    slopes: true,
    positions: [0, 0, 16, 30, 2, 45],
    attrs: { window: 6, softcap: 4 },
  }),
  paged("slopes, rows that see keys ahead", { ...grouped, slopes: true, positions: [0, 1, 3, 32, 20, 40] }),
  paged("relative bias, 700 keys, heads of 64", {
    heads: 8,
    kvHeads: 8,
    headDim: 64,
    pageSize: 32,
    farthest: 128,
    lengths: [700, 700, 700, 700, 700, 512, 513, 511],
    sequences: [1, 1, 1, 1, 1, 0, 2, 2],
    positions: [0, 1, 130, 398, 699, 511, 0, 300],
  }),
  paged("relative bias, heads of 10", {
    heads: 4,
    kvHeads: 2,
    headDim: 10,
    farthest: 8,
    positions: [0, 1, 3, 32, 20, 40],
  }),
  paged("relative bias, a row without keys", {
    ...grouped,
    farthest: 3,
    lengths: [3, 0, 5],
    sequences: [0, 1, 2],
  }),
  paged("a row without keys", { ...grouped, lengths: [3, 0, 5], sequences: [0, 1, 2] }),
];

/**
 * Five rows written to their slots, one of them nowhere. Queries with a window of one key give back the values as they
 * stand in the cache, to the bit; a place that nobody wrote to is zero.
 */
function writeKv(kv: CacheDType, kvHeads: number, headDim: number): OpCase {
  const [pageSize, pages, maxPages, width] = [8, 4, 2, kvHeads * headDim];
  const slots = [25, 1, 9, -1, 8];
  return {
    name: `writeKv ${kv} ${kvHeads}x${headDim}`,
    capacity: { rows: 7, outputs: maxPages * pageSize },
    counts: { rows: slots.length, outputs: maxPages * pageSize },
    record(g) {
      const shape = [pages, kvHeads, pageSize, wholeBlocks(kv, headDim)];
      const [keys, values] = ["keys", "values"].map((name) => g.state(name, kv, shape));
      const [k, v] = ["k", "v"].map((name) => g.input(name, "f32", ["rows", width]));
      g.record("writeKv", [k, v, g.step("slots", "i32", ["rows"]), keys, values]);
      const perRow = ["lengths", "sequences"].map((name) => g.step(name, "i32", ["outputs"]));
      const inputs = [
        g.input("q", "f32", ["outputs", width]),
        keys,
        values,
        ...perRow,
        g.step("pageTable", "i32", [1, maxPages]),
      ];
      g.output("y", g.record("pagedAttention", inputs, { heads: kvHeads, scale: 1, window: 1 })[0]);
    },
    fillings: {
      k: normal(7 * width, 5),
      v: normal(7 * width, 6),
      q: normal(maxPages * pageSize * width, 7),
      slots: Int32Array.from([...slots, 2, 3]),
      lengths: Int32Array.from({ length: maxPages * pageSize }, (_, i) => i + 1),
      pageTable: Int32Array.of(3, 1),
    },
    // The one weight, 1, stands for itself in 16 bits but for a factor's rounding.
    tolerance: kv === "q8_0" || kv === "q16" ? 1e-6 : 0,
  };
}

const writeCases = [
  writeKv("f32", 1, 4),
  writeKv("f32", 3, 16),
  writeKv("f16", 2, 8),
  writeKv("f16", 3, 64),
  writeKv("q8_0", 2, 64),
  writeKv("q8_0", 3, 20),
  writeKv("q8_0", 1, 7),
  writeKv("q16", 2, 64),
  writeKv("q16", 3, 128),
  writeKv("q16", 2, 80),
  writeKv("q16", 3, 20),
  writeKv("q16", 1, 7),
];

/** Writes to pages, attention over pages. */
export const pagedAttentionCases: readonly OpCase[] = [...writeCases, ...pagedCases];
