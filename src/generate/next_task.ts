/**
 * Lets timers, input and other work run between two steps that block the thread.
 *
 * @module
 */

const immediate: ((run: () => void) => unknown) | undefined =
  (globalThis as { setImmediate?: (run: () => void) => unknown }).setImmediate;

/** Longest time, in milliseconds, for which steps may follow each other without a pause. */
const SLICE = 8;
let lastPause = 0;

/** Waits for the next turn of the event loop, where the last one is some milliseconds ago. */
export async function nextTask(): Promise<void> {
  if (performance.now() - lastPause < SLICE) return;
  await new Promise<void>((resolve) => immediate ? immediate(resolve) : setTimeout(resolve, 0));
  lastPause = performance.now();
}
