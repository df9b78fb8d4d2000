/**
 * The ABI of the core over a loaded library.
 *
 * @module
 */
import type { CoreAbi, TeamAbi, TeamOptions } from "../core/abi.ts";

/** The C symbols of `native/src/lib.rs`. */
export const SYMBOLS = {
  llmforge_alloc: { parameters: ["usize"], result: "usize" },
  llmforge_free: { parameters: ["usize", "usize"], result: "void" },
  llmforge_weight_bytes: { parameters: ["u32", "usize", "usize"], result: "usize" },
  llmforge_weight_create: { parameters: ["u32", "usize", "usize"], result: "usize" },
  llmforge_weight_write: { parameters: ["usize", "usize", "usize", "usize"], result: "u32" },
  llmforge_weight_free: { parameters: ["usize"], result: "void" },
  llmforge_program_create: { parameters: ["usize", "usize", "usize", "usize", "usize"], result: "usize" },
  llmforge_program_step: { parameters: ["usize"], result: "usize" },
  llmforge_program_bytes: { parameters: ["usize"], result: "usize" },
  llmforge_program_run: { parameters: ["usize"], result: "u32" },
  llmforge_program_regions: { parameters: ["usize"], result: "usize" },
  llmforge_program_region_op: { parameters: ["usize", "usize"], result: "usize" },
  llmforge_program_run_region: { parameters: ["usize", "usize"], result: "u32" },
  llmforge_program_free: { parameters: ["usize"], result: "void" },
  llmforge_last_error: { parameters: [], result: "usize" },
  llmforge_team_create: { parameters: ["usize", "u32"], result: "usize" },
  llmforge_team_start: { parameters: ["usize", "usize"], result: "u32" },
  llmforge_team_follow: { parameters: ["usize", "usize", "usize", "usize"], result: "u32" },
  llmforge_team_begun: { parameters: ["usize"], result: "u32" },
  llmforge_team_finished: { parameters: ["usize"], result: "u32" },
  llmforge_team_wait: { parameters: ["usize", "u32"], result: "void" },
  team_wait_async: {
    name: "llmforge_team_wait",
    parameters: ["usize", "u32"],
    result: "void",
    nonblocking: true,
  },
  llmforge_team_status: { parameters: ["usize"], result: "u32" },
  llmforge_team_free: { parameters: ["usize"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** A library that is loaded. */
export type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

/** The ABI over a loaded library. Addresses fit a number: user space ends below 2^53. */
function nativeAbi(library: Library): Omit<CoreAbi, "close"> {
  const { symbols } = library;
  return {
    alloc: (bytes) => Number(symbols.llmforge_alloc(BigInt(bytes))),
    free: (address, bytes) => symbols.llmforge_free(BigInt(address), BigInt(bytes)),
    weightBytes: (dtype, rows, columns) =>
      Number(symbols.llmforge_weight_bytes(dtype, BigInt(rows), BigInt(columns))),
    weightCreate: (dtype, rows, columns) =>
      Number(symbols.llmforge_weight_create(dtype, BigInt(rows), BigInt(columns))),
    weightWrite: (weight, firstRow, address, bytes) =>
      symbols.llmforge_weight_write(BigInt(weight), BigInt(firstRow), BigInt(address), BigInt(bytes)),
    weightFree: (weight) => symbols.llmforge_weight_free(BigInt(weight)),
    programCreate: (...numbers) => {
      const [blob, bytes, bindings, count, threads] = numbers.map(BigInt);
      return Number(symbols.llmforge_program_create(blob, bytes, bindings, count, threads));
    },
    programStep: (program) => Number(symbols.llmforge_program_step(BigInt(program))),
    programBytes: (program) => Number(symbols.llmforge_program_bytes(BigInt(program))),
    programRun: (program) => symbols.llmforge_program_run(BigInt(program)),
    programRegions: (program) => Number(symbols.llmforge_program_regions(BigInt(program))),
    programRegionOp: (program, region) =>
      Number(symbols.llmforge_program_region_op(BigInt(program), BigInt(region))),
    programRunRegion: (program, region) =>
      symbols.llmforge_program_run_region(BigInt(program), BigInt(region)),
    programFree: (program) => symbols.llmforge_program_free(BigInt(program)),
    lastError: () => Number(symbols.llmforge_last_error()),
    view(address, bytes) {
      const pointer = Deno.UnsafePointer.create(BigInt(address));
      if (pointer === null || bytes === 0) return new Uint8Array(0);
      return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes));
    },
  };
}

/** A team of threads of the library; nothing where the system has none to give. */
function nativeTeam(
  { symbols }: Library,
  { threads, partWork }: TeamOptions,
  waits: PendingWait,
): TeamAbi | undefined {
  const team = symbols.llmforge_team_create(BigInt(threads), partWork);
  if (team === 0n) return undefined;
  return {
    threads,
    start: (program) => symbols.llmforge_team_start(team, BigInt(program)),
    follow: (program, copies, count) =>
      symbols.llmforge_team_follow(team, BigInt(program), BigInt(copies), BigInt(count)),
    begun: () => symbols.llmforge_team_begun(team),
    finished: () => symbols.llmforge_team_finished(team) | 0,
    status: () => symbols.llmforge_team_status(team),
    fault: () => undefined,
    wait: (seen) => symbols.llmforge_team_wait(team, seen >>> 0),
    async waitAsync(seen) {
      await waits.begin(symbols.team_wait_async(team, seen >>> 0));
      return true;
    },
    free: () => waits.afterwards(() => symbols.llmforge_team_free(team)),
  };
}

/** Keeps what a waiting thread is in from being freed under it. */
class PendingWait {
  #pending?: Promise<void>;

  /** Takes note of a wait until it ends. */
  async begin(wait: Promise<void>): Promise<void> {
    this.#pending = wait;
    await wait;
    if (this.#pending === wait) this.#pending = undefined;
  }

  /** Does something when nobody waits any more; at once, where nobody does. */
  afterwards(act: () => void): void {
    if (this.#pending) void this.#pending.then(act);
    else act();
  }
}

/** The core in a loaded library, with so many threads of its own; with 0 it computes on the calling thread. */
export function nativeCore(library: Library, options: TeamOptions): { abi: CoreAbi; team?: TeamAbi } {
  const waits = new PendingWait();
  const team = options.threads > 0 ? nativeTeam(library, options, waits) : undefined;
  const close = (): void => waits.afterwards(() => library.close());
  return { abi: { ...nativeAbi(library), close }, ...(team ? { team } : {}) };
}
