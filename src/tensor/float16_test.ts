import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ShapeError } from "../errors.ts";
import ops from "../../tests/fixtures/ops.json" with { type: "json" };
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "./float16.ts";

interface CastCase {
  op: string;
  name: string;
  f32_bits?: string[];
  f16_bits?: string[];
  bf16_bits?: string[];
  back_bits?: string[];
  is_nan?: boolean[];
  crc32_le_finite?: string;
  count?: number;
}

function castCase(name: string): CastCase {
  const found = (ops.cases as CastCase[]).find((c) => c.op === "cast" && c.name === name);
  assert(found, `no cast case ${name}`);
  return found;
}

const halves = (hex: string[]) => Uint16Array.from(hex, (h) => parseInt(h, 16));
const floats = (hex: string[]) => new Float32Array(Uint32Array.from(hex, (h) => parseInt(h, 16)).buffer);
const bitsOf = (
  values: Float32Array,
) => [...new Uint32Array(values.buffer, values.byteOffset, values.length)];

function checkRoundTrip(
  name: string,
  field: "f16_bits" | "bf16_bits",
  narrow: typeof f32ToF16,
  widen: typeof f16ToF32,
): void {
  const c = castCase(name);
  const [from, expected, back] = [floats(c.f32_bits!), halves(c[field]!), floats(c.back_bits!)];
  const narrowed = narrow(from);
  const widened = widen(narrowed);
  for (let i = 0; i < from.length; i++) {
    if (c.is_nan![i]) {
      assert(Number.isNaN(widened[i]), `${c.f32_bits![i]} must stay NaN`);
    } else {
      assertEquals(narrowed[i], expected[i], c.f32_bits![i]);
      assertEquals(bitsOf(widened)[i], bitsOf(back)[i], c.f32_bits![i]);
    }
  }
}

Deno.test("F32 to F16 and back is what PyTorch gives", () =>
  checkRoundTrip("f32_f16_f32", "f16_bits", f32ToF16, f16ToF32));

Deno.test("F32 to BF16 and back is what PyTorch gives", () =>
  checkRoundTrip("f32_bf16_f32", "bf16_bits", f32ToBf16, bf16ToF32));

Deno.test("F16 to F32 is what PyTorch gives", () => {
  const c = castCase("f16_to_f32");
  const [widened, expected] = [f16ToF32(halves(c.f16_bits!)), floats(c.f32_bits!)];
  for (let i = 0; i < expected.length; i++) {
    if (Number.isNaN(expected[i])) assert(Number.isNaN(widened[i]));
    else assertEquals(bitsOf(widened)[i], bitsOf(expected)[i], c.f16_bits![i]);
  }
});

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

Deno.test("every finite F16 widens exactly and narrows to itself", () => {
  const c = castCase("all_f16_to_f32_crc");
  const finite = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((h) => (h & 0x7c00) !== 0x7c00);
  assertEquals(finite.length, c.count);
  const values = f16ToF32(finite);
  assertEquals(crc32(new Uint8Array(values.buffer)).toString(16), c.crc32_le_finite);
  assertEquals(f32ToF16(values), finite);
});

Deno.test("every BF16 that is not NaN narrows to itself", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((h) => (h & 0x7fff) <= 0x7f80);
  assertEquals(f32ToBf16(bf16ToF32(all)), all);
});

Deno.test("F32 to F16 rounds as the engine's own Float16Array", {
  ignore: typeof Float16Array === "undefined",
}, () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 200 }), (bits) => {
      const values = new Float32Array(Uint32Array.from(bits).buffer).filter((v) => !Number.isNaN(v));
      assertEquals(f32ToF16(values), new Uint16Array(Float16Array.from(values).buffer));
    }),
    { seed: 1, numRuns: 300 },
  );
});

Deno.test("conversions write into a given array and refuse a short one", () => {
  const out = new Float32Array(4);
  assert(f16ToF32(Uint16Array.of(0x3c00, 0xc000), out) === out);
  assertEquals(out, Float32Array.of(1, -2, 0, 0));
  assertThrows(() => f32ToF16(out, new Uint16Array(3)), ShapeError, "4 are needed");
});
