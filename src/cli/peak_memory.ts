/**
 * How much memory the process has held.
 *
 * @module
 */

/** The most memory of the process that was resident at a time, in KiB: `maxRSS` of `process.resourceUsage()`. */
export async function peakMemory(): Promise<number> {
  return fromLinux() ?? (await import("node:process")).default.resourceUsage().maxRSS;
}

const STATUS = "/proc/self/status";

/** What Linux says itself, where it may be read. To load `node:process` takes 7 MB, which then are part of the peak. */
function fromLinux(): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  // Asked first, so that the runtime does not ask the user.
  if (Deno.permissions.querySync({ name: "read", path: STATUS }).state !== "granted") return undefined;
  try {
    const peak = /^VmHWM:\s*(\d+) kB$/m.exec(Deno.readTextFileSync(STATUS));
    return peak ? Number(peak[1]) : undefined;
  } catch (error) {
    // With `-R` alone, Deno keeps /proc to itself.
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
