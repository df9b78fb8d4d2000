/** What a run with a real model takes of the machine's memory. @module */
import { assert } from "@std/assert";
import { runJson } from "../support/run_cli.ts";
import { sharedUrl, testWithShared } from "../support/shared.ts";

const MODEL = "models/smollm2-135m-instruct-q4_1.gguf";
/** Resident at most, as a multiple of the file: runtime, two workers, compiler, weights, cache. */
const PEAK_RATIO = 2.2;

// Two threads, whatever the machine has: each is an isolate of 10 MB.
testWithShared("a run on token ids takes at most 2.2 times the file", [MODEL], async () => {
  const { pathname } = sharedUrl(MODEL);
  const { memory } = await runJson(
    ["run", "--model", pathname, "--prompt-ids", "1,2,3,4,5", "--max-tokens", "64", "--ignore-eos"]
      .concat("--threads", "2"),
    { permissions: ["-A"] },
  );
  const { size } = await Deno.stat(sharedUrl(MODEL));
  const ratio = memory.peak_rss * 1024 / size;
  assert(ratio <= PEAK_RATIO, `the peak is ${memory.peak_rss} KiB, ${ratio.toFixed(2)} times the file`);
  // Weights alone are about the file's size: a smaller figure was not measured.
  assert(ratio > 1, `a peak of ${memory.peak_rss} KiB cannot be`);
});
