/**
 * The WASM backend: the core as a module that is part of the module graph, so it needs no permission.
 *
 * @module
 */
import { BackendUnavailableError } from "../../errors.ts";
import type { Backend, DeviceInfo } from "../backend.ts";
import { type TeamOptions, teamOptions } from "../core/abi.ts";
import { CoreBackend, type CoreOptions } from "../core/core_backend.ts";
import { wasmAbi } from "./exports.ts";
import { hasRelaxedSimd, hasSimd } from "./features.ts";
import { instantiate, instantiateShared, type Kernels } from "./load.ts";
import { startTeam, threadsMissing } from "./team.ts";

/** Options of {@linkcode createWasmBackend}. */
export interface WasmBackendOptions {
  /**
   * Which build to load; only that one is.
   *
   * @default {"auto"} `relaxed` where the engine has relaxed SIMD, else `simd`
   */
  build?: Kernels | "auto";
  /**
   * Workers that compute while the calling thread is free; 0 computes on the calling thread. Where workers cannot be
   * had that is what happens, and `device.features` say why.
   *
   * @default {0}
   */
  threads?: number;
  /**
   * Nanoseconds of work from which on threads share it; with 0, which tests want, they share all that they can.
   *
   * @default {2000}
   */
  partWork?: number;
}

/** The most that a 32-bit memory can hold. */
const MEMORY_LIMIT = 2 ** 32;

/**
 * Creates a backend that computes in WebAssembly. Dispose of it: that ends its workers.
 *
 * @throws {BackendUnavailableError} where the engine lacks what the build needs.
 *
 * ```ts
 * import { createWasmBackend } from "./mod.ts";
 * using backend = await createWasmBackend();
 * const buffer = backend.alloc(16);
 * backend.write(buffer, 0, new Uint8Array([1, 2, 3]));
 * ```
 */
export async function createWasmBackend(options: WasmBackendOptions = {}): Promise<Backend> {
  const { build = "auto" } = options;
  const wanted = teamOptions(options);
  const relaxed = build === "relaxed" || (build === "auto" && hasRelaxedSimd());
  if (relaxed ? !hasRelaxedSimd() : !hasSimd()) {
    throw new BackendUnavailableError(
      "wasm",
      `this engine has no ${relaxed ? "relaxed " : ""}WebAssembly SIMD; use a newer one`,
    );
  }
  const kernels = relaxed ? "relaxed" : "simd";
  const features = relaxed ? ["simd128", "relaxed-simd"] : ["simd128"];
  const core = wanted.threads > 0 ? await withThreads(kernels, wanted) : undefined;
  if (typeof core === "object") {
    return coreBackend({ threads: core.team?.threads ?? 1, features: [...features, "threads"] }, core);
  }
  if (core !== undefined) features.push(`no threads: ${core}`);
  const instance = await instantiate(kernels);
  return coreBackend({ threads: 1, features }, { abi: wasmAbi(instance) });
}

/** The build with threads and its team; where that cannot be had, why. */
async function withThreads(
  kernels: Kernels,
  wanted: TeamOptions,
): Promise<Pick<CoreOptions, "abi" | "team"> | string> {
  const missing = threadsMissing();
  if (missing !== undefined) return missing;
  try {
    const shared = await instantiateShared(kernels);
    const team = await startTeam(shared, wanted);
    return { abi: wasmAbi(shared.instance, shared.memory), team };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function coreBackend(
  device: Omit<DeviceInfo, "name">,
  core: Pick<CoreOptions, "abi" | "team">,
): Backend {
  return new CoreBackend({
    name: "wasm",
    device: { name: "WebAssembly", ...device },
    limit: MEMORY_LIMIT,
    ...core,
  });
}
