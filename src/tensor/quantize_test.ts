import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DTypeError, ShapeError } from "../errors.ts";
import ops from "../../tests/fixtures/ops.json" with { type: "json" };
import quant from "../../tests/fixtures/quant.json" with { type: "json" };
import { uniform } from "../../tests/support/random.ts";
import { byteLength, type DType } from "./dtype.ts";
import { dequantize, quantize, transcode } from "./quantize.ts";

interface Tensor {
  data: (number | string)[];
}
interface QuantizeCase {
  op: string;
  name: string;
  inputs: { x: Tensor };
  outputs: { dequantized: Tensor };
  hex: string[];
}

const floats = (data: (number | string)[]) => Float32Array.from(data, Number);
const bitsOf = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);
const quantized: DType[] = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1"];

for (const [name, type] of Object.entries(quant.types)) {
  Deno.test(`${name} blocks have the values that ggml gives them`, () => {
    for (const { hex, values } of type.blocks) {
      const out = new Float32Array(values.length);
      dequantize(name.toLowerCase() as DType, Uint8Array.fromHex(hex), out);
      assertEquals(bitsOf(out), bitsOf(floats(values)));
    }
  });
}

for (const c of (ops.cases as unknown as QuantizeCase[]).filter((c) => c.op === "quantize")) {
  Deno.test(`quantize to ${c.name} gives ggml's bytes`, () => {
    const dtype = c.name.toLowerCase() as DType;
    const bytes = quantize(dtype, floats(c.inputs.x.data));
    const rows = bytes.length / c.hex.length;
    c.hex.forEach((hex, row) =>
      assertEquals(bytes.subarray(row * rows, (row + 1) * rows).toHex(), hex, `row ${row}`)
    );
    const expected = floats(c.outputs.dequantized.data);
    assertEquals(bitsOf(dequantize(dtype, bytes, new Float32Array(expected.length))), bitsOf(expected));
  });
}

Deno.test("a block type is off by at most a step of its block", () => {
  const steps: Record<string, number> = { q8_0: 254, q4_0: 16, q4_1: 15, q5_0: 32, q5_1: 31 };
  fc.assert(
    fc.property(
      fc.constantFrom(...quantized),
      fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 32, maxLength: 32 }),
      (dtype, values) => {
        const x = Float32Array.from(values);
        const y = dequantize(dtype, quantize(dtype, x), new Float32Array(32));
        const peak = Math.max(...values.map(Math.abs), 2 ** -10);
        // 2 * peak bounds the range; the slack is the F16 rounding of scale and minimum.
        const bound = 2 * peak / steps[dtype] + peak * 2 ** -9;
        for (let i = 0; i < 32; i++) {
          if (Math.abs(x[i] - y[i]) > bound) throw new Error(`${x[i]} became ${y[i]}`);
        }
      },
    ),
    { seed: 2, numRuns: 300 },
  );
});

/** Normalised mean square errors of ggml's reference code on the numbers below. */
const GGML_ERRORS = { q4_k: 4.775093e-3, q5_k: 1.220510e-3, q6_k: 2.919567e-4 } as const;

Deno.test("K kinds are written as near to the numbers as ggml writes them", () => {
  const next = uniform(7);
  const x = Float32Array.from(
    { length: 1 << 16 },
    (_, i) => (next() + next() + next() + next() - 2) * (1 + (i >> 6) % 5) / 64,
  );
  for (const dtype of ["q4_k", "q5_k", "q6_k"] as const) {
    const y = dequantize(dtype, quantize(dtype, x), new Float32Array(x.length));
    let [error, power] = [0, 0];
    for (let i = 0; i < x.length; i++) {
      error += (x[i] - y[i]) ** 2;
      power += x[i] ** 2;
    }
    const ratio = error / power / GGML_ERRORS[dtype];
    assert(ratio < 1.01, `${dtype}: ${ratio} times ggml's error`);
  }
});

Deno.test("K kinds keep a block's range, whatever is in it", () => {
  const values = fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), {
    minLength: 256,
    maxLength: 256,
  });
  fc.assert(
    fc.property(fc.constantFrom<DType>("q4_k", "q5_k", "q6_k"), values, (dtype, numbers) => {
      const x = Float32Array.from(numbers);
      const y = dequantize(dtype, quantize(dtype, x), new Float32Array(256));
      const peak = Math.max(...numbers.map(Math.abs), 2 ** -10);
      // Least squares may leave one element of a sub-block to the others, but no farther off than it is large.
      const far = y.findIndex((value, i) => !(Math.abs(value - x[i]) <= 0.5 * peak));
      if (far >= 0) throw new Error(`${x[far]} became ${y[far]}`);
    }),
    { seed: 3, numRuns: 200 },
  );
});

Deno.test("zeros and one number alone are written as near as their F16 scale", () => {
  for (const dtype of ["q4_k", "q5_k", "q6_k"] as const) {
    for (const value of [0, -1, 0.5]) {
      const bytes = quantize(dtype, new Float32Array(256).fill(value));
      const written = dequantize(dtype, bytes, new Float32Array(256));
      assert(written.every((y) => Math.abs(y - value) <= 5e-4), `${dtype} of ${value}`);
    }
  }
});

Deno.test("Q16 is off by at most half a step of its block", () => {
  const values = fc.array(fc.float({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 64, maxLength: 64 });
  fc.assert(
    fc.property(values, (numbers) => {
      const x = Float32Array.from(numbers);
      const y = dequantize("q16", quantize("q16", x), new Float32Array(64));
      const peak = Math.max(...x.map(Math.abs));
      // 2^-22: quotient, product and inverse are rounded to F32. Below 2^-112 the scale has fewer bits than an F32.
      const bound = peak / 16383 * 0.5 + peak * 2 ** -22 + 2 ** -112;
      for (let i = 0; i < 64; i++) {
        if (!(Math.abs(x[i] - y[i]) <= bound)) throw new Error(`${x[i]} became ${y[i]}`);
      }
    }),
    { seed: 4, numRuns: 300 },
  );
});

Deno.test("Q16 is a scale and quants, rounded half to even", () => {
  const x = new Float32Array(64);
  x.set([16383, 0.5, 1.5, -2.5, -3.5, 1e-9]);
  const bytes = quantize("q16", x);
  assertEquals(bytes.length, 132);
  const view = new DataView(bytes.buffer);
  assertEquals(view.getFloat32(0, true), 1);
  assertEquals(
    Array.from({ length: 7 }, (_, i) => view.getInt16(4 + 2 * i, true)),
    [16383, 0, 2, -2, -4, 0, 0],
  );
});

Deno.test("Q16 shows a number that is not finite, in its block alone, and has zeros for what is next to nothing", () => {
  for (const odd of [NaN, Infinity, -Infinity]) {
    const x = new Float32Array(128).fill(1);
    x[70] = odd;
    const y = dequantize("q16", quantize("q16", x), new Float32Array(128));
    assert(
      y.subarray(0, 64).every((value) => value === 1) && y.subarray(64).every((value) => value === Infinity),
    );
  }
  for (const tiny of [0, -0, 2 ** -149, 1e-36]) {
    assertEquals(quantize("q16", new Float32Array(64).fill(tiny)), new Uint8Array(132));
  }
});

Deno.test("infinities and NaN give bytes, not an exception", () => {
  const odd = new Float32Array(32).fill(1);
  odd.set([Infinity, -Infinity, NaN]);
  for (const dtype of quantized) assertEquals(quantize(dtype, odd).length, byteLength(dtype, 32));
  const long = new Float32Array(256).fill(1);
  long.set([Infinity, -Infinity, NaN], 70);
  for (const dtype of ["q4_k", "q5_k", "q6_k"] as const) {
    assertEquals(quantize(dtype, long).length, byteLength(dtype, 256));
  }
});

Deno.test("dequantize reads from an odd address", () => {
  const bytes = new Uint8Array(5).subarray(1);
  bytes.set([0x00, 0x3c, 0x00, 0xc0]);
  assertEquals(dequantize("f16", bytes, new Float32Array(2)), Float32Array.of(1, -2));
  bytes.set([0x00, 0x00, 0x80, 0x3f]);
  assertEquals(dequantize("f32", bytes, new Float32Array(1)), Float32Array.of(1));
});

Deno.test("F64 and integers become the nearest F32", () => {
  const read = (dtype: DType, numbers: ArrayBufferView, count: number) =>
    dequantize(dtype, new Uint8Array(numbers.buffer as ArrayBuffer), new Float32Array(count));
  assertEquals(read("f64", Float64Array.of(0.1, -1e300), 2), Float32Array.of(0.1, -Infinity));
  assertEquals(read("i8", Int8Array.of(-128, 127), 2), Float32Array.of(-128, 127));
  assertEquals(read("u8", Uint8Array.of(255), 1), Float32Array.of(255));
  assertEquals(read("i16", Int16Array.of(-32768), 1), Float32Array.of(-32768));
  assertEquals(read("i32", Int32Array.of(16777219, -1), 2), Float32Array.of(16777220, -1));
  // Half-way between two F32 but for the last bit, which an F64 cannot hold.
  const above = (1n << 60n) + (1n << 36n) + 1n;
  const at = (1n << 60n) + (1n << 36n);
  assertEquals(
    read("i64", BigInt64Array.of(above, -above, at, -3n), 4),
    Float32Array.of(2 ** 60 + 2 ** 37, -(2 ** 60) - 2 ** 37, 2 ** 60, -3),
  );
});

Deno.test("Q8_1 is its scale times its bytes", () => {
  const block = new Uint8Array(36);
  block.set([0x00, 0x38, 0xff, 0x7b, 0xff, 0x7f]);
  const values = dequantize("q8_1", block, new Float32Array(32));
  assertEquals(values.subarray(0, 3), Float32Array.of(-0.5, 63.5, 0));
});

Deno.test("transcoding keeps every quant where scales are for 32", () => {
  for (
    const [from, to] of [["tq1_0", "q4_0"], ["iq4_xs", "q8_0"], ["q4_k", "q4_1"], ["q5_k", "q5_1"]] as const
  ) {
    const { data, values } = goldenOf(from);
    const y = dequantize(to, transcode(from, to, data), new Float32Array(values.length));
    // What is lost is the F16 rounding of scale and minimum, each half of 2^-10 at most.
    const limit = values.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0) * 2 ** -9;
    values.forEach((value, i) =>
      assert(Math.abs(y[i] - value) <= limit, `${from} ${i}: ${value} became ${y[i]}`)
    );
  }
});

/** The golden blocks of a dtype. */
function goldenOf(dtype: DType): { data: Uint8Array; values: number[] } {
  const { blocks } = quant.types[dtype.toUpperCase() as keyof typeof quant.types];
  return {
    data: Uint8Array.fromHex(blocks.map(({ hex }) => hex).join("")),
    values: blocks.flatMap(({ values }) => [...floats(values)]),
  };
}

Deno.test("lengths and dtypes that do not fit are refused", () => {
  assertThrows(() => quantize("q8_0", new Float32Array(33)), ShapeError, "multiple of 32");
  assertThrows(
    () => dequantize("q4_0", new Uint8Array(17), new Float32Array(32)),
    ShapeError,
    "take 18 bytes",
  );
  assertThrows(() => quantize("iq2_xs", new Float32Array(256)), DTypeError, "iq2_xs");
  assertThrows(() => quantize("i32", new Float32Array(1)), DTypeError, "i32");
});
