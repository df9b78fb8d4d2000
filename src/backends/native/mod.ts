/**
 * The native backend: the core as a library that is loaded over FFI.
 *
 * @module
 */
import { BackendUnavailableError } from "../../errors.ts";
import type { Backend } from "../backend.ts";
import { teamOptions } from "../core/abi.ts";
import { CoreBackend } from "../core/core_backend.ts";
import { type Library, nativeCore, SYMBOLS } from "./symbols.ts";

/** Options of {@linkcode createNativeBackend}. */
export interface NativeBackendOptions {
  /**
   * Path of the library.
   *
   * @default {undefined} what `LLMFORGE_NATIVE` says, else what `deno task build` has built
   */
  path?: string;
  /**
   * Threads that compute while the calling thread is free; 0 computes on the calling thread.
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

/**
 * Creates a backend that computes in a native library. Never prompts for a permission.
 *
 * @throws {BackendUnavailableError} where the library is missing or may not be loaded.
 */
export async function createNativeBackend(options: NativeBackendOptions = {}): Promise<Backend> {
  if (typeof Deno === "undefined" || !("dlopen" in Deno)) {
    throw unavailable("this runtime has no FFI; use Deno");
  }
  const path = options.path ?? await environmentPath() ?? builtPath();
  if (path === undefined) throw unavailable("there is no library beside a remote module; pass `path`");
  const { state } = await Deno.permissions.query({ name: "ffi", path });
  if (state !== "granted") throw unavailable(`loading ${path} needs a permission; run with --allow-ffi`);
  const limit = await memoryLimit();
  const wanted = teamOptions(options);
  const { abi, team } = nativeCore(open(path), wanted);
  const features = team ? ["threads"] : wanted.threads > 0 ? ["no threads: the system has none to give"] : [];
  return new CoreBackend({
    name: "native",
    device: { name: `CPU (${Deno.build.arch})`, threads: team?.threads ?? 1, features },
    abi,
    team,
    limit,
  });
}

function unavailable(reason: string, cause?: unknown): BackendUnavailableError {
  return new BackendUnavailableError("native", reason, { cause });
}

function open(path: string): Library {
  try {
    return Deno.dlopen(path, SYMBOLS);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unavailable(`${path} cannot be loaded (${reason}); build it with deno task build`, error);
  }
}

async function environmentPath(): Promise<string | undefined> {
  const { state } = await Deno.permissions.query({ name: "env", variable: "LLMFORGE_NATIVE" });
  return state === "granted" ? Deno.env.get("LLMFORGE_NATIVE") : undefined;
}

/** Where `tools/build_native.ts` leaves the library of a clone. */
function builtPath(): string | undefined {
  const names = { windows: "llmforge_native.dll", darwin: "libllmforge_native.dylib" } as Record<
    string,
    string
  >;
  const name = names[Deno.build.os] ?? "libllmforge_native.so";
  const url = new URL(`../../../target/release/${name}`, import.meta.url);
  if (url.protocol !== "file:") return undefined;
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1) : path;
}

/** The machine's memory where we may ask, else more than there is. */
async function memoryLimit(): Promise<number> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().total : Number.MAX_SAFE_INTEGER;
}
