/**
 * Writes to the terminal or a pipe: results to standard output, everything else to standard error. Every call has
 * written all of its text when it returns.
 *
 * @module
 */

/** A place to write to, such as `Deno.stdout`. */
type SyncWriter = Pick<typeof Deno.stdout, "writeSync">;

const encoder = new TextEncoder();
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Writes a result to standard output, as it is. */
export function print(text: string): void {
  if (text !== "") writeAll(Deno.stdout, encoder.encode(text));
}

/** Writes one line of JSON to standard output. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value) + "\n");
}

/** Writes a line to standard error. */
export function note(line: string): void {
  ask(line + "\n");
}

/** Writes to standard error, as it is: a question, whose answer is typed behind it. */
export function ask(text: string): void {
  try {
    writeAll(Deno.stderr, encoder.encode(text));
  } catch {
    // Nobody listens, and there is nowhere else to say so.
  }
}

function writeAll(writer: SyncWriter, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writer.writeSync(bytes.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      // A pipe that somebody else has made non-blocking is full.
      Atomics.wait(sleeper, 0, 0, 1);
    }
  }
}
