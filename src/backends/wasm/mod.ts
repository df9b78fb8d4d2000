/**
 * The WASM backend: the core as a module that is part of the module graph, so it needs no permission.
 *
 * @module
 */
import { BackendUnavailableError } from "../../errors.ts";
import type { Backend } from "../backend.ts";
import { CoreBackend } from "../core/core_backend.ts";
import { wasmAbi } from "./exports.ts";
import { hasRelaxedSimd, hasSimd } from "./features.ts";

/** Options of {@linkcode createWasmBackend}. */
export interface WasmBackendOptions {
  /**
   * Which build to load; only that one is.
   *
   * @default {"auto"} `relaxed` where the engine has relaxed SIMD, else `simd`
   */
  build?: "simd" | "relaxed" | "auto";
}

/** The most that a 32-bit memory can hold. */
const MEMORY_LIMIT = 2 ** 32;

/**
 * Creates a backend that computes in WebAssembly, on the calling thread.
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
  const relaxed = build === "relaxed" || (build === "auto" && hasRelaxedSimd());
  if (relaxed ? !hasRelaxedSimd() : !hasSimd()) {
    throw new BackendUnavailableError(
      "wasm",
      `this engine has no ${relaxed ? "relaxed " : ""}WebAssembly SIMD; use a newer one`,
    );
  }
  const { BASE64 } = relaxed
    ? await import("./generated/relaxed.gen.ts")
    : await import("./generated/simd.gen.ts");
  // At once: about 1 ms, and half of what it takes asynchronously.
  const instance = new WebAssembly.Instance(new WebAssembly.Module(decodeBase64(BASE64)));
  return new CoreBackend({
    name: "wasm",
    device: {
      name: "WebAssembly",
      threads: 1,
      features: relaxed ? ["simd128", "relaxed-simd"] : ["simd128"],
    },
    abi: wasmAbi(instance),
    limit: MEMORY_LIMIT,
  });
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  // Engines before 2025.
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
