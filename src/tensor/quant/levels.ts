/**
 * Kinds whose values are a scale times a small integer. What a block says is read as integers and scales, for
 * dequantization and for transcoding alike.
 *
 * @module
 */
import type { BlockKind } from "./kind.ts";

/** Most elements of a block. */
const MOST = 256;

/** Elements that have a scale of their own. */
export const SPAN = 16;

/** A kind of small integers. */
export interface LevelKind {
  /** Elements of a block. */
  readonly size: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /**
   * Reads the block at byte `b`: an integer for each element, and a scale, which is an F32, for each {@linkcode SPAN}.
   */
  read(bytes: Uint8Array, b: number, levels: Int8Array, scales: Float32Array): void;
}

const levels = new Int8Array(MOST);
const scales = new Float32Array(MOST / SPAN);

/** The values of such a kind. The product of an F32 and eight bits is exact in F64, and rounded once. */
export function levelBlock({ size, bytes, read }: LevelKind): BlockKind {
  return {
    size,
    bytes,
    decode(from, b, out, e) {
      read(from, b, levels, scales);
      for (let i = 0; i < size; i++) out[e + i] = scales[i >> 4] * levels[i];
    },
  };
}

/** Gives the scale of 32 elements to both of their spans. */
export function bothSpans(to: Float32Array, of: number, scale: number): void {
  to[2 * of] = to[2 * of + 1] = scale;
}
