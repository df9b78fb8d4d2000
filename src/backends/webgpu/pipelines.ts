/**
 * Shader modules and pipelines, made once and shared by all Programs of a device.
 *
 * @module
 */
import { BackendError } from "../../errors.ts";
import type { Dispatch, ShaderName } from "./dispatch.ts";
import { SHADERS } from "./generated/shaders.gen.ts";

/** The pipelines of a device. */
export class Pipelines {
  readonly #gpu: GPUDevice;
  readonly #modules = new Map<ShaderName, GPUShaderModule>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  /** Starts without any. */
  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** The pipeline for an entry point and its constants. */
  get({ shader, entry, constants }: Pick<Dispatch, "shader" | "entry" | "constants">): Promise<
    GPUComputePipeline
  > {
    const key = `${shader} ${entry} ${JSON.stringify(constants)}`;
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#gpu.createComputePipelineAsync({
        label: key,
        layout: "auto",
        compute: { module: this.#module(shader), entryPoint: entry, constants: { ...constants } },
      }).catch((cause) => {
        throw new BackendError("webgpu", `the shader ${shader} was refused: ${cause}`, { cause });
      });
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  #module(shader: ShaderName): GPUShaderModule {
    let module = this.#modules.get(shader);
    if (!module) {
      module = this.#gpu.createShaderModule({ label: shader, code: SHADERS[shader] });
      this.#modules.set(shader, module);
    }
    return module;
  }
}
