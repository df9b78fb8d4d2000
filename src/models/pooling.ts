/**
 * The ways in which the vectors of a text's tokens become one.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";

/** Their mean, the first, the last, not at all, or the model's own layer over the first. */
export const POOLINGS = ["mean", "cls", "last", "none", "pooler"] as const;
/** Name of a pooling. */
export type Pooling = typeof POOLINGS[number];

/** Fields of `1_Pooling/config.json`: a flag for each kind, or one field with its name. */
export const POOLING_FLAGS: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: "mean",
  pooling_mode_cls_token: "cls",
  pooling_mode_lasttoken: "last",
};
const NAMED: Readonly<Record<string, Pooling>> = { mean: "mean", cls: "cls", lasttoken: "last" };

/**
 * The pooling of a sentence embedder.
 *
 * @throws {InvalidConfigError} where it is one that this version does not know, or several at once.
 */
export function sentencePooling(fields: Readonly<Record<string, unknown>>): Pooling {
  const { pooling_mode: named } = fields;
  const flags = Object.keys(fields).filter((name) =>
    name.startsWith("pooling_mode_") && fields[name] === true
  );
  const set = typeof named === "string" ? [named] : flags;
  const kinds = typeof named === "string" ? NAMED : POOLING_FLAGS;
  if (set.length === 1 && Object.hasOwn(kinds, set[0])) return kinds[set[0]];
  const known = Object.keys(POOLING_FLAGS).join(", ");
  throw new InvalidConfigError(
    "pooling_mode",
    `${set.join(" and ") || "none"} is not known; known are ${known}`,
  );
}
