/**
 * Ctrl-C: the first ends the work cleanly, the second ends the process.
 *
 * @module
 */

/** Exit code after Ctrl-C: 128 and the number of SIGINT. */
export const EXIT_INTERRUPTED = 130;

/** A signal that is aborted by Ctrl-C. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  Deno.addSignalListener("SIGINT", () => {
    if (controller.signal.aborted) Deno.exit(EXIT_INTERRUPTED);
    controller.abort();
  });
  return controller.signal;
}
