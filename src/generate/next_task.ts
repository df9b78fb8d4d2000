/**
 * Lets timers, input and other work run between two steps that block the thread.
 *
 * @module
 */

const immediate: ((run: () => void) => unknown) | undefined =
  (globalThis as { setImmediate?: (run: () => void) => unknown }).setImmediate;

/** Longest time, in milliseconds, for which steps may follow each other without a pause. */
const SLICE = 8;
/**
 * Longest time, in milliseconds, without a rest. Deno looks for signals and network input only in every 61st turn of a
 * loop that never rests, so Ctrl-C would have to wait for 61 steps. A rest takes about two milliseconds.
 */
const REST_INTERVAL = 200;
let lastPause = 0;
let lastRest = 0;

/** Waits for the next turn of the event loop, where the last one is some milliseconds ago. */
export async function nextTask(): Promise<void> {
  const now = performance.now();
  if (now - lastPause < SLICE) return;
  await nextTurn();
}

/** Waits for the next turn of the event loop. */
export async function nextTurn(): Promise<void> {
  const rest = immediate === undefined || performance.now() - lastRest > REST_INTERVAL;
  await new Promise<void>((resolve) => rest ? setTimeout(resolve, 0) : immediate(resolve));
  lastPause = performance.now();
  if (rest) lastRest = lastPause;
}
