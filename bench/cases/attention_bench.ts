/** Paged attention by keys, with the heads of SmolLM2-135M: 9 query heads, 3 KV heads of 64. @module */
import { type CacheDType, cacheShape, PAGE_SIZE } from "../../src/nn/decoder.ts";
import { normal, packed, permutation } from "../../tests/support/random.ts";
import { benchProgram } from "../support/bench_program.ts";

const [HEADS, KV_HEADS, HEAD_DIM] = [9, 3, 64];
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
}

function attention({ name, group, kv, lengths, sequences = lengths.map(() => 0) }: AttentionCase): void {
  const rows = lengths.length;
  const lines = Math.max(...sequences) + 1;
  const maxPages = Math.ceil(Math.max(...lengths) / PAGE_SIZE);
  const shape = cacheShape({ kvHeads: KV_HEADS, headDim: HEAD_DIM }, { pages: lines * maxPages, dtype: kv });
  const elements = shape.reduce((product, dim) => product * dim, 1);
  benchProgram({
    name,
    group,
    multiplyAdds: 2 * HEADS * HEAD_DIM * lengths.reduce((sum, length) => sum + length, 0),
    counts: { rows, outputs: 0 },
    record(g) {
      const inputs = [
        g.input("q", "f32", ["rows", HEADS * HEAD_DIM]),
        g.state("keys", kv, shape),
        g.state("values", kv, shape),
        g.step("lengths", "i32", ["rows"]),
        g.step("sequences", "i32", ["rows"]),
        g.step("pageTable", "i32", [lines, maxPages]),
      ];
      g.output("y", g.record("pagedAttention", inputs, { heads: HEADS, scale: HEAD_DIM ** -0.5 })[0]);
    },
    fillings: () => ({
      q: normal(rows * HEADS * HEAD_DIM, 1),
      // The order of elements in a page is the backend's own; any finite numbers will do.
      keys: packed(kv, elements, 2),
      values: packed(kv, elements, 3),
      lengths: Int32Array.from(lengths),
      sequences: Int32Array.from(sequences),
      pageTable: permutation(lines * maxPages, 4),
    }),
  });
}

for (const kv of ["q8_0", "f16", "f32"] as const) {
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
}
