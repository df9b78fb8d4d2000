import { assertRejects } from "@std/assert";
import { testOnBackends } from "../../../tests/support/backends.ts";
import { BackendUnavailableError } from "../../errors.ts";
import { openDevice } from "./device.ts";
import { checkKnownAnswer } from "./known_answer.ts";
import { DeviceMemory } from "./memory.ts";
import { createWebGpuBackend } from "./mod.ts";
import { Pipelines } from "./pipelines.ts";

Deno.test("a machine without WebGPU, or without an adapter, is told apart", async () => {
  const own = Object.getOwnPropertyDescriptor(navigator, "gpu");
  const pretend = (gpu: unknown): void => {
    Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
  };
  try {
    pretend(undefined);
    await assertRejects(() => createWebGpuBackend(), BackendUnavailableError, "navigator.gpu is missing");
    pretend({ requestAdapter: () => Promise.resolve(null) });
    await assertRejects(() => createWebGpuBackend(), BackendUnavailableError, "no adapter");
  } finally {
    if (own) Object.defineProperty(navigator, "gpu", own);
    else delete (navigator as { gpu?: unknown }).gpu;
  }
});

await testOnBackends("a device that computes something else is refused", async () => {
  const { gpu } = await openDevice({});
  const pipelines = new Pipelines(gpu);
  const get = pipelines.get.bind(pipelines);
  pipelines.get = (dispatch) => get({ ...dispatch, constants: { FACTOR: 0.25 } });
  const memory = new DeviceMemory(gpu, Infinity);
  await assertRejects(() => checkKnownAnswer(gpu, memory, pipelines), BackendUnavailableError, "504");
  gpu.destroy();
}, (name) => name === "webgpu");
