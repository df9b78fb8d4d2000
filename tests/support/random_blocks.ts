/**
 * Random blocks of the kinds that can only be read: any bits but for those of the floats.
 *
 * @module
 */
import { byteLength, type DType, DTYPES } from "../../src/tensor/dtype.ts";
import { uniform } from "./random.ts";

/** Sets the floats of the block at byte `b`; `next` gives numbers in [0, 1). */
type Floats = (bytes: DataView, b: number, next: () => number, scale: number) => void;

/** F16 scales by place, with what gives random quants a deviation of about 1; a second one is that of a minimum. */
function halves(...places: readonly (readonly [at: number, value: number])[]): Floats {
  return (bytes, b, next, scale) => {
    for (const [at, value] of places) bytes.setFloat16(b + at, value * scale * (0.5 + next()), true);
  };
}

const FLOATS: Partial<Record<DType, Floats>> = {
  f64: (bytes, b, next, scale) => bytes.setFloat64(b, scale * (2 * next() - 1), true),
  i64: (bytes, b, next) => bytes.setBigInt64(b, BigInt(Math.floor(200 * next()) - 100), true),
  q8_1: halves([0, 1 / 74]),
  q2_k: halves([80, 1 / 8], [82, 1 / 6]),
  q3_k: halves([108, 1 / 40]),
  q4_k: halves([0, 1 / 180], [2, 1 / 24]),
  q5_k: halves([0, 1 / 360], [2, 1 / 24]),
  q6_k: halves([208, 1 / 1400]),
  iq4_nl: halves([0, 1 / 70]),
  iq4_xs: halves([0, 1 / 1300]),
  iq1_s: halves([0, 1 / 8]),
  // The upper four bits of four words are the F16: 0.125 here.
  iq1_m(bytes, b) {
    for (let i = 0; i < 4; i++) {
      const at = b + 49 + 2 * i;
      bytes.setUint8(at, (bytes.getUint8(at) & 15) | (i === 3 ? 0x30 : 0));
    }
  },
  iq2_xxs: halves([0, 1 / 60]),
  iq2_xs: halves([0, 1 / 60]),
  iq2_s: halves([0, 1 / 60]),
  iq3_xxs: halves([0, 1 / 160]),
  iq3_s: halves([0, 1 / 160]),
  tq1_0: halves([52, 1]),
  tq2_0: halves([64, 1]),
  mxfp4: (bytes, b, next) => bytes.setUint8(b, 124 + 3 * next()),
  nvfp4(bytes, b, next) {
    for (let i = 0; i < 4; i++) bytes.setUint8(b + i, 0x28 + 16 * next());
  },
};

/** Bytes of `count` elements. */
export function randomBlocks(
  dtype: DType,
  count: number,
  seed: number,
  scale: number,
): Uint8Array<ArrayBuffer> {
  const next = uniform(seed);
  const bytes = Uint8Array.from({ length: byteLength(dtype, count) }, () => 256 * next());
  const view = new DataView(bytes.buffer);
  for (let b = 0; b < bytes.length; b += DTYPES[dtype].blockBytes) FLOATS[dtype]?.(view, b, next, scale);
  return bytes;
}
