/**
 * Packages are imported where they are needed, and a runtime fetches them when it first meets them.
 *
 * @module
 */
import { PackageError } from "./errors.ts";

/** Imports a package, or what needs one; `PackageError` where it cannot be had. */
export async function importPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new PackageError(name, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
