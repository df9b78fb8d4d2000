/**
 * Checks of arguments that many functions share.
 *
 * @module
 */
import { InvalidArgumentError } from "./errors.ts";

/**
 * The value, where it is a whole number of `min` to `max`.
 *
 * ```ts
 * import { checkWhole } from "./check.ts";
 * checkWhole("threads", 2, 1); // 2
 * ```
 *
 * @throws {InvalidArgumentError} that names what it is the value of.
 */
export function checkWhole(name: string, value: number, min: number, max: number = Infinity): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const range = max === Infinity ? `of at least ${min}` : `of ${min} to ${max}`;
  throw new InvalidArgumentError(`${name} must be a whole number ${range}, not ${value}`);
}
