/**
 * Reads the options of the benchmark commands.
 *
 * @module
 */

/** A whole number of at least `min`. */
export function whole(name: string, text: string, min = 1): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min) return value;
  throw new Error(`--${name} must be a whole number of at least ${min}, not ${text}`);
}

/** A comma list without empty parts. */
export function list(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** Whether a file or folder is there. */
export function exists(path: string | URL): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Name of a file without its folders. */
export function baseName(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path;
}

/** `1 thread`, `2 threads`. */
export function threadText(threads: number): string {
  return `${threads} thread${threads === 1 ? "" : "s"}`;
}
