/**
 * The known-answer test: a device that computes nonsense without an error is found before a model is.
 *
 * @module
 */
import { BackendUnavailableError } from "../../errors.ts";
import { inErrorScope } from "./device.ts";
import { type DeviceMemory, readBytes, WebGpuBuffer } from "./memory.ts";
import type { Pipelines } from "./pipelines.ts";

/** F16 -2.5 in the upper half of word 0, BF16 3.140625 in that of word 1; the lowest bytes are 64 … 1. */
const WORDS = Uint32Array.from({ length: 64 }, (_, i) => 64 - i);
WORDS[0] |= 0xc1000000;
WORDS[1] |= 0x40490000;

const FACTOR = 0.5;

/** What `shaders/known_answer.wgsl` gives for them: a sum, a maximum, both floats, tanh, then a byte. */
const ANSWERS = [2016 * FACTOR, 64, -2.5, 3.140625, Math.tanh(FACTOR), 59];

/** Runs the test. */
export async function checkKnownAnswer(
  gpu: GPUDevice,
  memory: DeviceMemory,
  pipelines: Pipelines,
): Promise<void> {
  const buffers = [16, WORDS.byteLength, 4 * ANSWERS.length].map((bytes) =>
    memory.take(bytes, "the known-answer test")
  );
  const [count, words, out] = buffers;
  try {
    const constants = { FACTOR };
    const pipeline = await pipelines.get({ shader: "known_answer", entry: "knownAnswer", constants });
    await inErrorScope(gpu, "the known-answer test", () => {
      gpu.queue.writeBuffer(count, 0, Uint32Array.of(ANSWERS.length, 0, 0, 0));
      gpu.queue.writeBuffer(words, 0, WORDS);
      const commands = gpu.createCommandEncoder();
      const pass = commands.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(
        0,
        gpu.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
        }),
      );
      pass.dispatchWorkgroups(1);
      pass.end();
      gpu.queue.submit([commands.finish()]);
    });
    const answers = new Float32Array(ANSWERS.length);
    await readBytes(gpu, new WebGpuBuffer(answers.byteLength, out), 0, new Uint8Array(answers.buffer));
    if (!ANSWERS.every((wanted, i) => Math.abs(wanted - answers[i]) < 1e-6)) {
      throw new BackendUnavailableError(
        "webgpu",
        `a known-answer test gave [${answers}] for [${ANSWERS}]; update the graphics driver`,
      );
    }
  } catch (cause) {
    if (cause instanceof BackendUnavailableError) throw cause;
    throw new BackendUnavailableError("webgpu", `a known-answer test failed: ${cause}`, { cause });
  } finally {
    buffers.forEach((buffer) => memory.release(buffer));
  }
}
