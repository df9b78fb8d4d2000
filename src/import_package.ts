/**
 * Packages are imported where they are needed, and a runtime fetches them when it first meets them.
 *
 * @module
 */
import { PackageError } from "./errors.ts";

/** What Deno says where no configuration that it has read maps the name of a package. */
const UNKNOWN = "not a dependency";

/** Imports a package, or what needs one; `PackageError` where it cannot be had. */
export async function importPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const advice = reason.includes(UNKNOWN)
      ? "your program reads LLMForge from a folder without its deno.json; name that folder under `links` in a deno.json of yours"
      : "packages are fetched on the first run, so run it once where their registry answers";
    throw new PackageError(name, reason, advice, { cause });
  }
}
