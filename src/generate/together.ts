/**
 * Work that several do at once.
 *
 * @module
 */

/**
 * Has `width` workers do the same until each has returned. When one fails the signal of the others is aborted, and its error is
 * thrown once all have ended: nobody goes on with what the caller then closes.
 */
export async function together(
  width: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const workers = Array.from({ length: width }, () => work(either));
  try {
    await Promise.all(workers);
  } catch (error) {
    failed.abort();
    await Promise.allSettled(workers);
    throw error;
  }
}
