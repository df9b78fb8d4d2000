/**
 * Chooses a backend, and says of every other one why it was not chosen.
 *
 * @module
 */
import { BackendUnavailableError, InvalidArgumentError, LLMForgeError } from "../errors.ts";
import type { Backend, BackendName } from "./backend.ts";

/** How a backend is asked for: by name, or the best that the machine has. */
export type BackendChoice = BackendName | "auto";

/** What became of one backend while choosing. */
export interface BackendReport {
  /** Name of the backend. */
  readonly name: BackendName;
  /** Whether it can be used here. */
  readonly available: boolean;
  /** Why it was chosen, or why not. */
  readonly reason: string;
  /** What it computes on, where it is known. */
  readonly device?: string;
}

/** A chosen backend and the report on all that were looked at. */
export interface Selection {
  /** The backend to use. */
  readonly backend: Backend;
  /** One entry a backend that was tried or passed over. */
  readonly report: readonly BackendReport[];
}

/** What every backend can be asked for. */
export interface BackendOptions {
  /**
   * Threads that compute beside the calling one, where the backend has them; 0 computes on the calling thread.
   *
   * @default {0}
   */
  threads?: number;
}

/** The most threads that are started unasked: beyond, the threads wait for memory and for each other. */
const DEFAULT_THREADS = 8;

/** As many threads as there are cores, within reason. */
export function defaultThreads(): number {
  return Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, DEFAULT_THREADS);
}

const CREATE: Readonly<Record<BackendName, (options: BackendOptions) => Promise<Backend>>> = {
  wasm: async ({ threads }) => await (await import("./wasm/mod.ts")).createWasmBackend({ threads }),
  native: async ({ threads }) => await (await import("./native/mod.ts")).createNativeBackend({ threads }),
  webgpu: async () => await (await import("./webgpu/mod.ts")).createWebGpuBackend(),
  reference: async () => (await import("./reference/mod.ts")).createReferenceBackend(),
};

/** All backends by name. */
export const BACKEND_NAMES: readonly BackendName[] = Object.keys(CREATE) as BackendName[];

/** Why a backend is left out of `auto` although it works: it is slower today than the one chosen. */
const NOT_AUTOMATIC: Readonly<Partial<Record<BackendName, string>>> = {
  native: "its kernels are plain so far and slower than WASM SIMD; choose it by name",
  webgpu: "its shaders are plain so far and slower than WASM SIMD; choose it by name",
  reference: "it is the readable oracle for tests, and slow; choose it by name",
};

/** Makes one backend. */
export async function createBackend(name: BackendName, options: BackendOptions = {}): Promise<Backend> {
  if (!Object.hasOwn(CREATE, name)) {
    throw new InvalidArgumentError(
      `there is no backend ${name}; there are auto, ${BACKEND_NAMES.join(", ")}`,
    );
  }
  return await CREATE[name](options);
}

/**
 * Makes the backend that was asked for; `auto` takes the fastest that this machine has.
 *
 * @throws {BackendUnavailableError} where it cannot be used here.
 */
export async function selectBackend(
  choice: BackendChoice = "auto",
  options: BackendOptions = {},
): Promise<Selection> {
  if (choice !== "auto") {
    const backend = await createBackend(choice, options);
    return {
      backend,
      report: [{ name: choice, available: true, reason: "asked for", device: backend.device.name }],
    };
  }
  const report: BackendReport[] = [];
  let chosen: Backend | undefined;
  for (const name of BACKEND_NAMES) {
    const passedOver = NOT_AUTOMATIC[name];
    if (passedOver !== undefined) {
      report.push({ name, available: true, reason: passedOver });
      continue;
    }
    try {
      chosen = await createBackend(name, options);
      report.push({ name, available: true, reason: "the fastest here", device: chosen.device.name });
    } catch (error) {
      if (!(error instanceof LLMForgeError)) throw error;
      report.push({ name, available: false, reason: error.message });
    }
  }
  if (!chosen) throw new BackendUnavailableError("auto", report.map((entry) => entry.reason).join("; "));
  return { backend: chosen, report };
}

/** Tries every backend in turn, with the threads that a model would get, for `doctor`; nothing stays open. */
export async function probeBackends(): Promise<BackendReport[]> {
  const report: BackendReport[] = [];
  for (const name of BACKEND_NAMES) {
    try {
      using backend = await createBackend(name, { threads: defaultThreads() });
      const reason = NOT_AUTOMATIC[name] ?? "the fastest here";
      report.push({ name, available: true, reason, device: deviceText(backend) });
    } catch (error) {
      if (!(error instanceof LLMForgeError)) throw error;
      report.push({ name, available: false, reason: error.message });
    }
  }
  return report;
}

function deviceText({ device }: Backend): string {
  const threads = device.threads === 1 ? [] : [`${device.threads} threads`];
  const features = device.features.filter((feature) => feature !== "threads");
  return [device.name, ...features, ...threads].join(", ");
}
