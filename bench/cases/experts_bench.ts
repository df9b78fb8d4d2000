/** Products with chosen experts: many rows of a prompt, or the one of a decode step. @module */
import type { DType } from "../../src/tensor/dtype.ts";
import { integers, normal } from "../../tests/support/random.ts";
import { benchProgram, weights } from "../support/bench_program.ts";

/** Input and output features of an expert, how many experts there are, and how many a row goes through. */
const [IN, OUT, EXPERTS, USED] = [1024, 512, 64, 8];

function experts(dtype: DType, rows: number): void {
  const millions = Math.round((rows * USED * IN * OUT) / 1e6);
  benchProgram({
    name: `${dtype}, ${rows} rows by ${USED} of ${EXPERTS} experts, ${millions} MMAC`,
    group: `experts, ${rows} rows`,
    multiplyAdds: rows * USED * IN * OUT,
    counts: { rows, outputs: 0 },
    record(g) {
      const w = g.weight("w", dtype, [EXPERTS * OUT, IN]);
      const ids = g.step("ids", "i32", ["rows", USED]);
      g.output("y", g.matmulExperts(g.input("x", "f32", ["rows", IN]), w, ids, EXPERTS));
    },
    fillings: () => ({
      x: normal(rows * IN, 1),
      ids: integers(rows * USED, EXPERTS, 2),
      w: weights(dtype, EXPERTS * OUT, IN, 3),
    }),
  });
}

for (const rows of [1, 128]) {
  for (const dtype of ["q4_0", "q4_k", "q8_0", "f32"] as const) experts(dtype, rows);
}
