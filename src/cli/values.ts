/**
 * Values of options: parses them, and says what they must be.
 *
 * @module
 */
import { OptionValueError } from "./option.ts";

/** Parses a whole number of `min` to `max`. */
export function whole(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new OptionValueError(`It must be a whole number ${range(min, max, Number.MAX_SAFE_INTEGER)}`);
  };
}

/** Parses a decimal number of `min` to `max`. */
export function number(min: number, max: number = Number.MAX_VALUE): (text: string) => number {
  return (text) => {
    const value = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new OptionValueError(`It must be a number ${range(min, max, Number.MAX_VALUE)}`);
  };
}

/** Parses token ids such as `1,2,3`. */
export function tokenIds(text: string): number[] {
  const parts = text.split(",").map((part) => part.trim());
  const ids = parts.map((part) => /^\d+$/.test(part) ? Number(part) : NaN);
  if (ids.every(Number.isSafeInteger)) return ids;
  throw new OptionValueError("It must be token ids such as 1,2,3");
}

/** Parses token ids, a list for each time that the option is given. */
export function tokenIdLists(text: string, earlier: number[][] = []): number[][] {
  return [...earlier, tokenIds(text)];
}

/** Parses a text that is not empty, of an option that may be repeated. */
export function texts(text: string, earlier: string[] = []): string[] {
  if (text === "") throw new OptionValueError("It must not be empty");
  return [...earlier, text];
}

function range(min: number, max: number, unlimited: number): string {
  if (min === Number.MIN_VALUE) return "above 0";
  return max >= unlimited ? `of at least ${min}` : `of ${min} to ${max}`;
}
