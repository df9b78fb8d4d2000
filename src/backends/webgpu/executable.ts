/**
 * A compiled Program: pipelines and bind groups are made once; a step is one write, one compute pass and one submit.
 *
 * @module
 */
import { BackendError, InvalidArgumentError, UnsupportedOpError } from "../../errors.ts";
import type { Program } from "../../program/program.ts";
import type { StepRecord } from "../../program/step.ts";
import type { Bindings, Executable, StepFeed } from "../backend.ts";
import type { Place } from "./data_block.ts";
import { type Faults, inErrorScope } from "./device.ts";
import type { Dispatch } from "./dispatch.ts";
import { KERNELS } from "./kernels/mod.ts";
import { type DeviceMemory, webGpuBuffer } from "./memory.ts";
import type { Pipelines } from "./pipelines.ts";
import { checkBinding, Places } from "./places.ts";

/** What a Program is compiled for. */
export interface Target {
  /** The device. */
  readonly gpu: GPUDevice;
  /** Its memory. */
  readonly memory: DeviceMemory;
  /** Its pipelines. */
  readonly pipelines: Pipelines;
  /** What goes wrong on it. */
  readonly faults: Faults;
}

/** A dispatch with everything that it needs. */
interface Ready {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
}

/** Compiles a fused and lowered Program. */
export async function compileProgram(
  program: Program,
  bindings: Bindings,
  target: Target,
): Promise<Executable> {
  const { gpu, memory, pipelines } = target;
  const places = new Places(program, bindings);
  const dispatches = program.ops.flatMap((op) => {
    const kernel = KERNELS[op.name];
    if (!kernel) throw new UnsupportedOpError("webgpu", op.name, []);
    return kernel.dispatches(places.view(op));
  }).filter((dispatch) => dispatchesAnything(dispatch, program));
  for (const { operands, rows } of dispatches) {
    Object.values(operands).forEach((operand) => places.collect(operand));
    places.collectCount(rows);
  }
  try {
    places.allocate(gpu, memory);
    dispatches.forEach((dispatch) => checkPlaces(dispatch, places, gpu.limits.maxStorageBufferBindingSize));
    const made = await Promise.all(dispatches.map((dispatch) => pipelines.get(dispatch)));
    const ready = await inErrorScope(
      gpu,
      `compiling ${program.name}`,
      () =>
        dispatches.map((dispatch, i): Ready => ({
          dispatch,
          pipeline: made[i],
          group: bindGroup(gpu, made[i], dispatch, places),
        })),
    );
    return new WebGpuExecutable(target, places, ready);
  } catch (error) {
    places.buffers.forEach((buffer) => memory.release(buffer));
    throw error;
  }
}

/** Whether there is anything to do at full capacity: an empty tensor is not dispatched. */
function dispatchesAnything({ rows, groups, when }: Dispatch, { capacity }: Program): boolean {
  const most = typeof rows === "number" ? rows : capacity[rows];
  if (typeof rows === "number" && when && !when(rows)) return false;
  return most > 0 && groups(most) > 0;
}

/** Throws what would otherwise be a validation error in mid-stream. */
function checkPlaces(dispatch: Dispatch, places: Places, limit: number): void {
  const operands = Object.values(dispatch.operands);
  const found = operands.map((operand) => places.place(operand));
  operands.forEach((operand, i) => {
    const name = operand.kind === "value" ? operand.value.name : "a constant";
    checkBinding(found[i], limit, `${name} in ${dispatch.entry}`);
    const isShared = found.some((other, j) => j !== i && other.buffer === found[i].buffer);
    if (operand.kind === "value" && operand.writes && isShared) {
      throw new InvalidArgumentError(
        `${dispatch.entry} writes ${name} and uses its buffer for another operand; bind them to two buffers`,
      );
    }
  });
}

function bindGroup(
  gpu: GPUDevice,
  pipeline: GPUComputePipeline,
  dispatch: Dispatch,
  places: Places,
): GPUBindGroup {
  const entry = (binding: number, { buffer, offset, size }: Place): GPUBindGroupEntry => ({
    binding,
    resource: { buffer, offset, size },
  });
  return gpu.createBindGroup({
    label: `${dispatch.shader} ${dispatch.entry}`,
    layout: pipeline.getBindGroupLayout(0),
    entries: [
      entry(0, places.count(dispatch.rows)),
      ...Object.entries(dispatch.operands).map(([binding, operand]) =>
        entry(Number(binding), places.place(operand))
      ),
    ],
  });
}

/** In Deno a read takes ten milliseconds longer than the device: in that time so many short steps can run. */
const FED_STEPS = typeof Deno === "undefined" ? 1 : 4;

class WebGpuExecutable implements Executable {
  readonly arenaBytes: number;
  readonly fedSteps = FED_STEPS;
  readonly #target: Target;
  readonly #places: Places;
  readonly #ready: readonly Ready[];
  #disposed = false;

  constructor(target: Target, places: Places, ready: readonly Ready[]) {
    this.#target = target;
    this.#places = places;
    this.#ready = ready;
    this.arenaBytes = places.buffers.reduce((bytes, buffer) => bytes + buffer.size, 0);
  }

  run(step: StepRecord): void {
    this.#submit(step);
  }

  runFed(step: StepRecord, feed: StepFeed): void {
    this.#submit(step, this.#feeding(feed));
  }

  #submit(step: StepRecord, feed?: (commands: GPUCommandEncoder) => void): void {
    const { gpu, faults } = this.#target;
    faults.check();
    if (this.#disposed) throw new BackendError("webgpu", "the Program is disposed; compile it again");
    gpu.queue.writeBuffer(this.#places.stepBuffer, 0, this.#places.step.fill(step));
    const commands = gpu.createCommandEncoder();
    feed?.(commands);
    const pass = commands.beginComputePass();
    let pipeline: GPUComputePipeline | undefined;
    for (const ready of this.#ready) {
      const { rows, groups, when } = ready.dispatch;
      const count = typeof rows === "number" ? rows : step[rows];
      if (count === 0 || (when && !when(count))) continue;
      if (ready.pipeline !== pipeline) pass.setPipeline(pipeline = ready.pipeline);
      pass.setBindGroup(0, ready.group);
      dispatchGroups(pass, groups(count), gpu.limits.maxComputeWorkgroupsPerDimension);
    }
    pass.end();
    gpu.queue.submit([commands.finish()]);
  }

  /** What copies words to the record on the device; checked. */
  #feeding({ from, field, words }: StepFeed): (commands: GPUCommandEncoder) => void {
    const { step, stepBuffer } = this.#places;
    if (4 * words > from.bytes) {
      throw new InvalidArgumentError(`a buffer of ${from.bytes} bytes has no ${words} words for ${field}`);
    }
    const { gpu } = webGpuBuffer(from, "what feeds a step");
    const at = step.offset(field, words);
    return (commands) => commands.copyBufferToBuffer(gpu, 0, stepBuffer, at, 4 * words);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#places.buffers.forEach((buffer) => this.#target.memory.release(buffer));
  }
}

/** A dimension has a limit; what is beyond it goes on in y, and kernels stop at their count. */
function dispatchGroups(pass: GPUComputePassEncoder, groups: number, limit: number): void {
  const x = Math.min(groups, limit);
  pass.dispatchWorkgroups(x, Math.ceil(groups / x));
}
