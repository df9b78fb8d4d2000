/** Casts and quantization against PyTorch and ggml, bit for bit. @module */
import { assert, assertEquals } from "@std/assert";
import type { DType } from "../../src/tensor/dtype.ts";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../../src/tensor/float16.ts";
import { dequantize, quantize } from "../../src/tensor/quantize.ts";
import { Tensor } from "../../src/eager/tensor.ts";
import { decodeNumbers, type GoldenCase, OPS_GOLDEN } from "./ops_golden.ts";

function cast(name: string): GoldenCase {
  const found = OPS_GOLDEN.find((golden) => golden.op === "cast" && golden.name === name);
  if (!found) throw new Error(`no case ${name}`);
  return found;
}

const words = (hex: readonly string[] = []): number[] => hex.map((text) => parseInt(text, 16));
const floats = (hex?: readonly string[]): Float32Array =>
  new Float32Array(Uint32Array.from(words(hex)).buffer);
const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);

function assertBits(
  actual: ArrayLike<number>,
  expected: readonly number[],
  isNaNPattern: (bits: number) => boolean,
): void {
  expected.forEach((bits, i) => {
    if (isNaNPattern(bits)) assert(isNaNPattern(actual[i]), `element ${i} should be NaN`);
    else assertEquals(actual[i].toString(16), bits.toString(16), `element ${i}`);
  });
}

const nan32 = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000;
const nan16 = (bits: number): boolean => (bits & 0x7fff) > 0x7c00;
const nanBf16 = (bits: number): boolean => (bits & 0x7fff) > 0x7f80;

Deno.test("F32 to F16 and back", () => {
  const golden = cast("f32_f16_f32");
  const bits = f32ToF16(floats(golden.f32_bits));
  assertBits(bits, words(golden.f16_bits), nan16);
  assertBits(bitsOf(f16ToF32(bits)), words(golden.back_bits), nan32);
});

Deno.test("F32 to BF16 and back", () => {
  const golden = cast("f32_bf16_f32");
  const bits = f32ToBf16(floats(golden.f32_bits));
  assertBits(bits, words(golden.bf16_bits), nanBf16);
  assertBits(bitsOf(bf16ToF32(bits)), words(golden.back_bits), nan32);
});

Deno.test("F16 to F32", () => {
  const golden = cast("f16_to_f32");
  const values = f16ToF32(Uint16Array.from(words(golden.f16_bits)));
  assertBits(bitsOf(values), words(golden.f32_bits), nan32);
});

Deno.test("every finite F16 to F32", () => {
  const golden = cast("all_f16_to_f32_crc");
  const finite = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((bits) =>
    (bits & 0x7c00) !== 0x7c00
  );
  assertEquals(finite.length, golden.count);
  assertEquals(crc32(new Uint8Array(f16ToF32(finite).buffer)).toString(16), golden.crc32_le_finite);
});

Deno.test("a tensor's cast to F16 and BF16 is that of the host", async () => {
  for (
    const [dtype, name, key] of [["f16", "f32_f16_f32", "f16_bits"], [
      "bf16",
      "f32_bf16_f32",
      "bf16_bits",
    ]] as const
  ) {
    const golden = cast(name);
    const bytes = await Tensor.from(floats(golden.f32_bits)).cast(dtype).bytes();
    assertBits(new Uint16Array(bytes.buffer), words(golden[key]), dtype === "f16" ? nan16 : nanBf16);
  }
});

for (const golden of OPS_GOLDEN.filter(({ op }) => op === "quantize")) {
  const dtype = golden.name.toLowerCase() as DType;
  Deno.test(`quantize to ${dtype}`, async () => {
    const { x } = golden.inputs;
    const values = Float32Array.from(decodeNumbers(x.data));
    const wanted = Uint8Array.from(
      (golden.hex ?? []).join("").match(/../g) ?? [],
      (pair) => parseInt(pair, 16),
    );
    assertEquals(quantize(dtype, values), wanted);
    assertEquals(await Tensor.from(values, x.shape).cast(dtype).bytes(), wanted);
    const back = dequantize(dtype, wanted, new Float32Array(values.length));
    decodeNumbers(golden.outputs.dequantized.data).forEach((value, i) => {
      assert(Math.abs(back[i] - value) <= golden.tol * Math.max(1, Math.abs(value)), `element ${i}`);
    });
  });
}

/** CRC-32 as in zlib. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
