/** What a run with a real model takes of the machine's memory. @module */
import { assert } from "@std/assert";
import { runJson } from "../support/run_cli.ts";
import { sharedUrl, testWithShared } from "../support/shared.ts";

const MODEL = "models/smollm2-135m-instruct-q4_1.gguf";

/** Resident at most, beyond what the runtime takes that does nothing, as a multiple of the file, by threads. */
const PEAK_RATIO: Readonly<Record<number, number>> = {
  // The calling thread computes.
  1: 1.55,
  // Each is an isolate of 10 MB.
  2: 1.8,
};

/** Runs of each, which differ by 3 MB. */
const RUNS = 12;
/** Measurements of the idle runtime before each run: it takes 31 to 38 MB by chance, and drifts as runs do. */
const IDLE_RUNS = 6;

for (const [threads, most] of Object.entries(PEAK_RATIO)) {
  const name =
    `a run on token ids with --threads ${threads} takes at most ${most} times the file beyond the runtime`;
  testWithShared(name, [MODEL], async () => {
    const { pathname } = sharedUrl(MODEL);
    const args = ["run", "--model", pathname, "--prompt-ids", "1,2,3,4,5", "--threads", threads];
    const run = (): Promise<{ memory: { peak_rss: number } }> =>
      runJson([...args, "--max-tokens", "64", "--ignore-eos"], { permissions: ["-A"] });
    const { size } = await Deno.stat(pathname);
    // Modules are stripped of their types in the first run (30 MB).
    await run();
    const idle: number[] = [];
    const peaks: number[] = [];
    for (let i = 0; i < RUNS; i++) {
      for (let j = 0; j < IDLE_RUNS; j++) idle.push(await runtimeBytes());
      peaks.push((await run()).memory.peak_rss);
    }
    const peak = mean(peaks);
    const ratio = (peak * 1024 - mean(idle)) / size;
    assert(ratio <= most, `the peak is ${peak.toFixed()} KiB, ${ratio.toFixed(2)} times the file`);
    // Weights alone are about the file's size: a smaller figure was not measured.
    assert(ratio > 1, `a peak of ${peak.toFixed()} KiB cannot be`);
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Resident bytes of a Deno that does nothing. */
async function runtimeBytes(): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "console.log(Deno.memoryUsage().rss)"],
  });
  return Number(new TextDecoder().decode((await child.output()).stdout));
}
