/**
 * Models and references that are too large for the repository; they lie beside a checkout in `../shared`.
 *
 * @module
 */

const SHARED = new URL("../../../shared/", import.meta.url);

/** Path of a file in `../shared`. */
export function sharedUrl(path: string): URL {
  return new URL(path, SHARED);
}

function exists(url: URL): boolean {
  try {
    Deno.statSync(url);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Registers a test that needs files of `../shared`. Where they are missing it is skipped by name, or fails if
 * `LLMFORGE_REQUIRE` is set.
 */
export function testWithShared(name: string, paths: readonly string[], run: () => Promise<void>): void {
  const missing = paths.filter((path) => !exists(sharedUrl(path)));
  const required = Deno.env.get("LLMFORGE_REQUIRE") !== undefined;
  Deno.test({
    name: missing.length === 0 ? name : `${name}: skipped, ../shared/${missing[0]} is not there`,
    ignore: missing.length > 0 && !required,
    fn: run,
  });
}
