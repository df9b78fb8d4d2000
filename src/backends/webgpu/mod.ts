/**
 * The WebGPU backend: WGSL kernels, one compute pass and one submit a step. Runs in Deno (`--unstable-webgpu`) and in
 * browsers.
 *
 * Activations, sums and plain weights are F32; 16-bit and quantized weights stay as they are and are widened in the
 * shader.
 *
 * @module
 */
import type { OpName } from "../../program/ops.ts";
import { plan } from "../../program/plan.ts";
import type { Program } from "../../program/program.ts";
import type { DType } from "../../tensor/dtype.ts";
import { InvalidArgumentError } from "../../errors.ts";
import type {
  Backend,
  Bindings,
  Buffer,
  CopyRange,
  DeviceInfo,
  Executable,
  MemoryInfo,
  WeightHandle,
  WeightSource,
  WeightSpec,
} from "../backend.ts";
import { type OpenDevice, openDevice, type WebGpuOptions } from "./device.ts";
import { compileProgram } from "./executable.ts";
import { KERNELS } from "./kernels/mod.ts";
import { checkKnownAnswer } from "./known_answer.ts";
import {
  bindingBytes,
  copyRanges,
  DeviceMemory,
  readBytes,
  WebGpuBuffer,
  webGpuBuffer,
  writeBytes,
} from "./memory.ts";
import { Pipelines } from "./pipelines.ts";
import { uploadWeight } from "./upload.ts";
import { WebGpuWeight, weightLayout } from "./weights.ts";

export type { WebGpuOptions } from "./device.ts";

/**
 * Opens a WebGPU device and checks with a known answer that it computes.
 *
 * Throws a `BackendUnavailableError` with the reason where there is no WebGPU, no adapter, or a wrong answer.
 *
 * ```ts ignore
 * import { createWebGpuBackend } from "./mod.ts";
 * using backend = await createWebGpuBackend();
 * console.log(backend.device.name);
 * ```
 */
export async function createWebGpuBackend(options: WebGpuOptions = {}): Promise<Backend> {
  const device = await openDevice(options);
  const memory = new DeviceMemory(device.gpu, options.memoryLimit ?? Number.MAX_SAFE_INTEGER);
  const pipelines = new Pipelines(device.gpu);
  try {
    await checkKnownAnswer(device.gpu, memory, pipelines);
  } catch (error) {
    device.gpu.destroy();
    throw error;
  }
  return new WebGpuBackend(device, memory, pipelines);
}

class WebGpuBackend implements Backend {
  readonly name = "webgpu";
  readonly device: DeviceInfo;
  readonly #device: OpenDevice;
  readonly #memory: DeviceMemory;
  readonly #pipelines: Pipelines;
  /** Reads and uploads that wait for the device: it is kept until they are done. */
  readonly #waiting = new Set<Promise<unknown>>();

  constructor(device: OpenDevice, memory: DeviceMemory, pipelines: Pipelines) {
    this.device = device.info;
    this.#device = device;
    this.#memory = memory;
    this.#pipelines = pipelines;
  }

  get memory(): MemoryInfo {
    return { limit: this.#memory.limit, used: this.#memory.used };
  }

  supports(op: OpName, dtypes: readonly DType[]): boolean {
    return KERNELS[op]?.supports(dtypes) ?? false;
  }

  weightBytes(spec: WeightSpec): number {
    return bindingBytes(weightLayout(spec).bytes);
  }

  upload(spec: WeightSpec, source: WeightSource, signal?: AbortSignal): Promise<WeightHandle> {
    return this.#during(() => uploadWeight(this.#device.gpu, this.#memory, spec, source, signal));
  }

  freeWeight(weight: WeightHandle): void {
    if (!(weight instanceof WebGpuWeight)) {
      throw new InvalidArgumentError(`weight ${weight.spec.name} belongs to another backend`);
    }
    this.#memory.release(weight.gpu);
  }

  alloc(bytes: number): Buffer {
    this.#device.faults.check();
    return new WebGpuBuffer(bytes, this.#memory.take(bytes, "a buffer"));
  }

  free(buffer: Buffer): void {
    this.#memory.release(webGpuBuffer(buffer, "what is freed").gpu);
  }

  write(buffer: Buffer, offset: number, bytes: Uint8Array): void {
    this.#device.faults.check();
    writeBytes(this.#device.gpu, webGpuBuffer(buffer, "what is written"), offset, bytes);
  }

  copy(from: Buffer, to: Buffer, ranges: readonly CopyRange[]): void {
    this.#device.faults.check();
    const [source, target] = [webGpuBuffer(from, "the source"), webGpuBuffer(to, "the destination")];
    copyRanges(this.#device.gpu, source, target, ranges);
  }

  read(buffer: Buffer, offset: number, into: Uint8Array): Promise<void> {
    return this.#during(async () => {
      await readBytes(this.#device.gpu, webGpuBuffer(buffer, "what is read"), offset, into);
      // What went wrong in the steps before makes what was read worthless.
      this.#device.faults.checkDevice();
    });
  }

  compile(program: Program, bindings: Bindings): Promise<Executable> {
    const { gpu, faults } = this.#device;
    const target = { gpu, faults, memory: this.#memory, pipelines: this.#pipelines };
    return this.#during(() => compileProgram(plan(program, this).program, bindings, target));
  }

  [Symbol.dispose](): void {
    this.#device.faults.close();
    void this.#closeWhenIdle();
  }

  async #closeWhenIdle(): Promise<void> {
    const { gpu } = this.#device;
    await Promise.allSettled([...this.#waiting, gpu.queue.onSubmittedWorkDone()]);
    this.#memory.releaseAll();
    gpu.destroy();
  }

  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.#device.faults.check();
    const done = work();
    this.#waiting.add(done);
    try {
      return await done;
    } finally {
      this.#waiting.delete(done);
    }
  }
}
