/** Paged attention by keys: the heads of SmolLM2-135M, 9 query heads and 3 KV heads of 64, and an encoder's. @module */
import { type CacheDType, cacheShape, PAGE_SIZE } from "../../src/nn/decoder.ts";
import { byteLength } from "../../src/tensor/dtype.ts";
import { normal, packed, permutation } from "../../tests/support/random.ts";
import type { Packed } from "../../tests/support/rig.ts";
import { benchProgram } from "../support/bench_program.ts";

const HEADS = { heads: 9, kvHeads: 3, headDim: 64 };
/** Those of T5 small, whose relative bias tells distances up to 128 apart. */
const ENCODER = { heads: 8, kvHeads: 8, headDim: 64, farthest: 128 };
/** Rows of a prefill step. */
const PREFILL_ROWS = 256;

interface AttentionCase {
  name: string;
  group: string;
  kv: CacheDType;
  /** Keys that each row sees. */
  lengths: readonly number[];
  /** Sequence of each row; all belong to one where it is absent. */
  sequences?: readonly number[];
  shape?: { heads: number; kvHeads: number; headDim: number; farthest?: number };
}

/** Finite numbers for a cache; the order of elements in a page is the backend's own. */
function cacheFilling(kv: CacheDType, elements: number, headDim: number, seed: number): Packed {
  if (kv !== "q16") return packed(kv, elements, seed);
  // Of a page of a head, the quants and behind them the scales: any bytes of a scale would not do.
  const [quants, part] = [PAGE_SIZE * headDim, byteLength(kv, PAGE_SIZE * headDim)];
  const bytes = new Uint8Array(byteLength(kv, elements));
  const page = Int16Array.from(normal(quants, seed, 4096));
  for (let at = 0; at < bytes.length; at += part) {
    bytes.set(new Uint8Array(page.buffer), at);
    bytes.set(
      new Uint8Array(new Float32Array((part - 2 * quants) / 4).fill(2 ** -12).buffer),
      at + 2 * quants,
    );
  }
  return { dtype: kv, bytes };
}

function attention(
  { name, group, kv, lengths, sequences = lengths.map(() => 0), shape = HEADS }: AttentionCase,
): void {
  const rows = lengths.length;
  const { heads, kvHeads, headDim, farthest } = shape;
  const lines = Math.max(...sequences) + 1;
  const maxPages = Math.ceil(Math.max(...lengths) / PAGE_SIZE);
  const cache = cacheShape({ kvHeads, headDim }, { pages: lines * maxPages, dtype: kv });
  const elements = cache.reduce((product, dim) => product * dim, 1);
  benchProgram({
    name,
    group,
    multiplyAdds: 2 * heads * headDim * lengths.reduce((sum, length) => sum + length, 0),
    counts: { rows, outputs: 0 },
    record(g) {
      const inputs = [
        g.input("q", "f32", ["rows", heads * headDim]),
        g.state("keys", kv, cache),
        g.state("values", kv, cache),
        g.step("lengths", "i32", ["rows"]),
        g.step("sequences", "i32", ["rows"]),
        g.step("pageTable", "i32", [lines, maxPages]),
        ...(farthest === undefined ? [] : [
          undefined,
          g.constant("bias", normal((2 * farthest + 1) * heads, 5), [2 * farthest + 1, heads]),
          g.step("positions", "i32", ["rows"]),
        ]),
      ];
      g.output("y", g.record("pagedAttention", inputs, { heads, scale: headDim ** -0.5 })[0]);
    },
    fillings: () => ({
      q: normal(rows * heads * headDim, 1),
      keys: cacheFilling(kv, elements, headDim, 2),
      values: cacheFilling(kv, elements, headDim, 3),
      lengths: Int32Array.from(lengths),
      sequences: Int32Array.from(sequences),
      pageTable: permutation(lines * maxPages, 4),
      ...(farthest === undefined ? {} : { positions: Int32Array.from(lengths, (_, row) => row) }),
    }),
  });
}

for (const kv of ["q8_0", "q16", "f16", "f32"] as const) {
  for (const keys of [64, 256, 1024, 4096]) {
    attention({
      name: `decode, ${keys} keys, ${kv}`,
      group: `attention, decode, ${kv}`,
      kv,
      lengths: [keys],
    });
  }
  for (const keys of [256, 1024, 4096]) {
    attention({
      name: `prefill of ${PREFILL_ROWS} rows, the last sees ${keys} keys, ${kv}`,
      group: `attention, prefill, ${kv}`,
      kv,
      lengths: Array.from({ length: PREFILL_ROWS }, (_, i) => keys - PREFILL_ROWS + i + 1),
    });
  }
  attention({
    name: `decode of 8 sequences, 1024 keys each, ${kv}`,
    group: `attention, decode, ${kv}`,
    kv,
    lengths: Array.from({ length: 8 }, () => 1024),
    sequences: [0, 1, 2, 3, 4, 5, 6, 7],
  });
  attention({
    name: `encoder of 512 tokens, relative bias, ${kv}`,
    group: `attention, encoder, ${kv}`,
    kv,
    lengths: Array.from({ length: 512 }, () => 512),
    shape: ENCODER,
  });
}
