/**
 * What a configuration lost on its way into another format's words.
 *
 * @module
 */
import type { DecoderConfig } from "../models/config.ts";
import { inverseFrequencies, type RopeConfig, ropeScale } from "../nn/rope.ts";

/** Numbers are the same where they agree to what an F32 holds. */
const PRECISION = 1e-6;

/**
 * Names of the fields in which two configurations compute something else. Names, token ids, what the conversion of the
 * weights makes up for (order of rotary rows, offsets of norms, the scale of scores) do not count.
 */
export function differences(a: DecoderConfig, b: DecoderConfig): string[] {
  const [left, right] = [comparable(a), comparable(b)];
  return Object.keys(left).filter((key) => !same(left[key], right[key]));
}

function comparable(c: DecoderConfig): Record<string, unknown> {
  const { architecture: _name, bosId: _bos, eosIds: _eos, attentionScale: _scale, ...rest } = c;
  return {
    ...rest,
    norm: { ...c.norm, weightOffset: 0 },
    // A classifier has no use for a pooling, and what is asked for at all times need not be said.
    pooling: c.labels !== undefined || c.pooling === "none" ? undefined : c.pooling,
    rope: rotary(c.rope, c),
    localRope: c.localRope && c.windows.some((window) => window > 0) ? rotary(c.localRope, c) : undefined,
    alibi: c.alibi,
    experts: c.experts,
    qkNorm: c.qkNorm,
  };
}

/** A rotary embedding by what it does. */
function rotary(rope: RopeConfig | undefined, { contextLength }: DecoderConfig): unknown {
  if (!rope) return undefined;
  const original = "originalContext" in rope.scaling ? rope.scaling.originalContext : contextLength;
  return {
    rotaryDim: rope.rotaryDim,
    scale: ropeScale(rope),
    short: inverseFrequencies(rope, Math.min(original, contextLength)),
    long: inverseFrequencies(rope, contextLength),
  };
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") {
    return Math.abs(a - b) <= PRECISION * Math.max(Math.abs(a), Math.abs(b));
  }
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return a === b;
  const [left, right] = [Object.entries(a), b as Record<string, unknown>];
  return left.length === Object.keys(b).length && left.every(([key, value]) => same(value, right[key]));
}
