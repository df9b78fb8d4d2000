/** What a run with a real model takes of the machine's memory. @module */
import { assert } from "@std/assert";
import { runJson } from "../support/run_cli.ts";
import { sharedUrl, testWithShared } from "../support/shared.ts";

const MODEL = "models/smollm2-135m-instruct-q4_1.gguf";

/** Resident at most, beyond what the runtime takes that does nothing, as a multiple of the file, by threads. */
const PEAK_RATIO: Readonly<Record<number, number>> = {
  // The calling thread computes. Runs give 1.48 to 1.56: when V8's compiler runs is not ours to say.
  1: 1.65,
  // Each is an isolate of 10 MB.
  2: 1.8,
};

for (const [threads, most] of Object.entries(PEAK_RATIO)) {
  const name =
    `a run on token ids with --threads ${threads} takes at most ${most} times the file beyond the runtime`;
  testWithShared(name, [MODEL], async () => {
    const { pathname } = sharedUrl(MODEL);
    const args = ["run", "--model", pathname, "--prompt-ids", "1,2,3,4,5", "--threads", threads];
    const run = (): Promise<{ memory: { peak_rss: number } }> =>
      runJson([...args, "--max-tokens", "64", "--ignore-eos"], { permissions: ["-A"] });
    // The first one may have to strip modules of their types, which takes 30 MB.
    await run();
    const [{ memory }, runtime, { size }] = await Promise.all([run(), runtimeBytes(), Deno.stat(pathname)]);
    const ratio = (memory.peak_rss * 1024 - runtime) / size;
    assert(ratio <= most, `the peak is ${memory.peak_rss} KiB, ${ratio.toFixed(2)} times the file`);
    // Weights alone are about the file's size: a smaller figure was not measured.
    assert(ratio > 1, `a peak of ${memory.peak_rss} KiB cannot be`);
  });
}

/** Resident bytes of a Deno that does nothing. */
async function runtimeBytes(): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "console.log(Deno.memoryUsage().rss)"],
  });
  return Number(new TextDecoder().decode((await child.output()).stdout));
}
