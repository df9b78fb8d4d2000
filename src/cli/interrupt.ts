/**
 * Ctrl-C: the first ends the work cleanly, the second ends the process.
 *
 * @module
 */

/** Exit code after Ctrl-C: 128 and the number of SIGINT. */
export const EXIT_INTERRUPTED = 130;

let intercept: (() => boolean) | undefined;

/** Asks `take` first at every Ctrl-C from now on: where it gives `true`, it has ended what there was to end. */
export function interceptInterrupts(take: () => boolean): Disposable {
  intercept = take;
  return { [Symbol.dispose]: () => void (intercept = undefined) };
}

/** A signal that is aborted by Ctrl-C. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  Deno.addSignalListener("SIGINT", () => {
    if (intercept?.()) return;
    if (controller.signal.aborted) Deno.exit(EXIT_INTERRUPTED);
    controller.abort();
  });
  return controller.signal;
}
