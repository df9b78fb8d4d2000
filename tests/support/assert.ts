/** The part of `@std/assert` that the tests use, over `node:assert`, for machines that cannot reach jsr. @module */
import assert_ from "node:assert/strict";

/** Fails with `message` where `value` is not truthy. */
export function assert(value: unknown, message?: string): asserts value {
  assert_.ok(value, message);
}

/** Fails where the two values are not deeply equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  assert_.deepEqual(actual, expected, message);
}

/** Fails where the two values are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  assert_.notDeepEqual(actual, expected, message);
}

/** Fails where the two values are not the same object or primitive. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  assert_.strictEqual(actual, expected, message);
}

/** Fails where `|actual - expected|` is above `tolerance`. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance = 1e-7,
  message?: string,
): void {
  if (Object.is(actual, expected)) return;
  const difference = Math.abs(actual - expected);
  assert_.ok(
    difference <= tolerance,
    message ?? `${actual} is ${difference} from ${expected}, more than ${tolerance}`,
  );
}

/** Fails where `text` does not contain `part`. */
export function assertStringIncludes(text: string, part: string, message?: string): void {
  assert_.ok(
    text.includes(part),
    message ?? `${JSON.stringify(text)} does not include ${JSON.stringify(part)}`,
  );
}

/** Fails where `text` does not match `pattern`. */
export function assertMatch(text: string, pattern: RegExp, message?: string): void {
  assert_.match(text, pattern, message);
}

// deno-lint-ignore no-explicit-any -- a constructor takes whatever it takes
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

function checkError<E extends Error>(error: unknown, errorClass?: ErrorClass<E>, includes?: string): E {
  if (errorClass) assert_.ok(error instanceof errorClass, `expected ${errorClass.name}, got ${error}`);
  if (includes) assertStringIncludes((error as Error).message, includes);
  return error as E;
}

/** Fails where `fn` does not throw an instance of `errorClass` whose message includes `includes`; gives the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass?: ErrorClass<E>,
  includes?: string,
): E {
  try {
    fn();
  } catch (caught) {
    return checkError(caught, errorClass, includes);
  }
  throw new assert_.AssertionError({ message: "expected the function to throw" });
}

/** Fails where the promise of `fn` does not reject with an instance of `errorClass`; gives the error. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E>,
  includes?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    return checkError(error, errorClass, includes);
  }
  throw new assert_.AssertionError({ message: "expected the function to reject" });
}
