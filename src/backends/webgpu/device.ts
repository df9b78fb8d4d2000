/**
 * Opens a WebGPU device with the limits of its adapter, and keeps what goes wrong on it for the next call.
 *
 * The types are Deno's built-in ones: they cover all that is used here, and a second set of globals from
 * `@webgpu/types` would have to agree with them.
 *
 * @module
 */
import { BackendError, BackendUnavailableError } from "../../errors.ts";
import type { DeviceInfo } from "../backend.ts";

/** Options of {@linkcode createWebGpuBackend}. */
export interface WebGpuOptions {
  /** Which adapter to ask for where there are several; `"high-performance"` by default. */
  readonly powerPreference?: "low-power" | "high-performance";
  /** The most bytes that may be allocated in all; WebGPU does not tell, so there is no limit by default. */
  readonly memoryLimit?: number;
}

/** A device and what is known of it. */
export interface OpenDevice {
  /** The device. */
  readonly gpu: GPUDevice;
  /** Name and features for people. */
  readonly info: DeviceInfo;
  /** What went wrong on it. */
  readonly faults: Faults;
}

/** Limits that are asked for at the adapter's value; all others stay at the default, so 8 storage buffers a stage. */
const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Features that kernels may use one day; a device has them, `supports` does not depend on them. */
const REPORTED_FEATURES = ["shader-f16", "subgroups", "timestamp-query"];

/** Faults of a device come when nobody waits for them: they are kept and thrown at the next call. */
export class Faults {
  #lost: string | undefined;
  #uncaptured: string | undefined;
  #closed = false;

  /** Listens to a device. */
  constructor(gpu: GPUDevice) {
    gpu.addEventListener("uncapturederror", (event) => {
      // Deno prints what nobody prevented.
      event.preventDefault();
      this.#uncaptured ??= (event as GPUUncapturedErrorEvent).error.message;
    });
    gpu.lost.then(({ reason, message }) => {
      this.#lost = `the device was lost (${reason}): ${message}`;
    });
  }

  /** From now on every call is a call on a closed backend. */
  close(): void {
    this.#closed = true;
  }

  /** Throws on a closed backend, and what happened since the last call. */
  check(): void {
    if (this.#closed) throw new BackendError("webgpu", "it is disposed; create a new one");
    this.checkDevice();
  }

  /** Throws what happened since the last call. A lost device stays lost. */
  checkDevice(): void {
    if (this.#lost !== undefined) throw new BackendError("webgpu", `${this.#lost}; create a new backend`);
    if (this.#uncaptured !== undefined) {
      const message = this.#uncaptured;
      this.#uncaptured = undefined;
      throw new BackendError("webgpu", message);
    }
  }
}

/** Opens a device; throws `BackendUnavailableError` where there is none. */
export async function openDevice(options: WebGpuOptions): Promise<OpenDevice> {
  const gpu = typeof navigator === "undefined" ? undefined : (navigator as Partial<Navigator>).gpu;
  if (!gpu) {
    throw new BackendUnavailableError(
      "webgpu",
      "navigator.gpu is missing; run Deno with --unstable-webgpu, or a browser with WebGPU in a secure context",
    );
  }
  const { powerPreference = "high-performance" } = options;
  const adapter = await gpu.requestAdapter({ powerPreference });
  if (!adapter) {
    throw new BackendUnavailableError(
      "webgpu",
      "no adapter was found; install a Vulkan, Metal or D3D12 driver",
    );
  }
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]]));
  try {
    const device = await adapter.requestDevice({ label: "llmforge", requiredLimits });
    const { description, vendor } = adapter.info;
    const features = REPORTED_FEATURES.filter((name) => adapter.features.has(name as GPUFeatureName));
    return {
      gpu: device,
      info: { name: description || vendor || "WebGPU", threads: 1, features },
      faults: new Faults(device),
    };
  } catch (cause) {
    throw new BackendUnavailableError("webgpu", `the adapter gave no device: ${cause}`, { cause });
  }
}

/** Runs `make` in error scopes and throws what the device reports about it. */
export async function inErrorScope<T>(gpu: GPUDevice, what: string, make: () => T): Promise<T> {
  gpu.pushErrorScope("out-of-memory");
  gpu.pushErrorScope("validation");
  let made: T;
  let errors: Promise<GPUError | null>[];
  try {
    made = make();
  } finally {
    // Both scopes are closed before anything is awaited, so that another compile cannot get in between.
    errors = [gpu.popErrorScope(), gpu.popErrorScope()];
  }
  for (const error of await Promise.all(errors)) {
    if (error) throw new BackendError("webgpu", `${what}: ${error.message}`);
  }
  return made;
}
