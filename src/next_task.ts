/**
 * Lets timers, input and other work run between two steps that block the thread.
 *
 * @module
 */

/** Longest time, in milliseconds, for which steps may follow each other without a pause. */
const SLICE = 8;
/**
 * Longest time, in milliseconds, without a rest. Deno looks for signals and network input only now and then in a loop that
 * never rests, so Ctrl-C would have to wait for many steps. A rest takes about two milliseconds.
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

/** Takes note that the event loop has had a turn, and a rest: something was waited for that comes from another thread. */
export function turned(): void {
  lastPause = lastRest = performance.now();
}

/** Waits for the next turn of the event loop. */
export async function nextTurn(): Promise<void> {
  const rest = performance.now() - lastRest > REST_INTERVAL;
  await new Promise<void>((resolve) => rest ? setTimeout(resolve, 0) : turn(resolve));
  lastPause = performance.now();
  if (rest) lastRest = lastPause;
}

/** The event loop's next turn. `setImmediate` would do, and load 4 MB of Node's modules where Deno runs this. */
function turn(resolve: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    // Both: Deno keeps 5 KB for a port that is open.
    port1.close();
    port2.close();
    resolve();
  };
  port2.postMessage(null);
}
